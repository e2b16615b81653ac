/**
 * A mesh started by `sluice up`, as the end-to-end tests of the command line use it: in a folder and state directory
 * of its own, hidden from other meshes of this user, with every process it ever starts found again by its state
 * directory.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeTempDir, onCleanUp, spawnBun, waitFor, type TestProcess } from '@sluice/testkit';

export const projectRoot = join(import.meta.dir, '..', '..');
export const cliMain = join(projectRoot, 'packages/cli/src/main.ts');
const upTimeoutMs = 60_000;
const upGraceMs = 20_000;

export interface CliResult {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface StartOptions {
  readonly args?: readonly string[];
  /** Default: a new one. */
  readonly stateDir?: string;
  readonly runtimeDir?: string;
  /** False: the caller waits for what it wants to see. */
  readonly waitsUntilUp?: boolean;
}

export class MeshUnderTest {
  readonly dir: string;
  readonly stateDir: string;
  readonly runtimeDir: string;
  readonly up: TestProcess;

  private constructor(dir: string, stateDir: string, runtimeDir: string, args: readonly string[]) {
    this.dir = dir;
    this.stateDir = stateDir;
    this.runtimeDir = runtimeDir;
    // Registered first, so that it comes last: what is left when up has ended, or was killed.
    onCleanUp(() => {
      for (const { pid } of this.processes()) process.kill(pid, 'SIGKILL');
    });
    this.up = spawnBun(cliMain, ['up', dir, '--state-dir', stateDir, ...args], {
      env: this.env(),
      name: `up ${dir}`,
      graceMs: upGraceMs,
    });
  }

  static async start(dir: string, options: StartOptions = {}): Promise<MeshUnderTest> {
    const stateDir = options.stateDir ?? join(makeTempDir(), 'state');
    const runtimeDir = options.runtimeDir ?? makeTempDir();
    const mesh = new MeshUnderTest(dir, stateDir, runtimeDir, options.args ?? []);
    if (options.waitsUntilUp !== false) await mesh.isUp();
    return mesh;
  }

  isUp(): Promise<string> {
    return this.up.waitForLine(/ is up$/, { timeoutMs: upTimeoutMs });
  }

  /** What commands are run with, so that they find this mesh and no other. */
  env(): Record<string, string> {
    return {
      SLUICE_STATE_DIR: this.stateDir,
      XDG_RUNTIME_DIR: this.runtimeDir,
      NO_COLOR: '1',
      FORCE_COLOR: '',
    };
  }

  cli(...args: readonly string[]): Promise<CliResult> {
    return runCli(args, this.env());
  }

  /** Standard output of a command that must succeed. */
  async out(...args: readonly string[]): Promise<string> {
    const { code, out, err } = await this.cli(...args);
    if (code !== 0) throw new Error(`sluice ${args.join(' ')} ended with ${code}: ${out}${err}`);
    return out.trimEnd();
  }

  url(workload: string): Promise<string> {
    return this.out('url', workload);
  }

  /** Every process of this mesh but `up` itself: applications by their environment, the rest by their arguments. */
  processes(): readonly { readonly pid: number; readonly command: string }[] {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name) && Number(name) !== this.up.pid && Number(name) !== process.pid)
      .flatMap((name) => {
        const command = readProc(name, 'cmdline').replaceAll('\0', ' ').trim();
        const isOurs =
          command.includes(this.stateDir) ||
          readProc(name, 'environ').includes(`SLUICE_WORK_DIR=${this.stateDir}/`);
        return isOurs && command !== '' ? [{ pid: Number(name), command }] : [];
      });
  }

  /** The one process whose command matches. */
  pidOf(pattern: RegExp): Promise<number> {
    return waitFor(() => this.processes().find(({ command }) => pattern.test(command))?.pid, {
      what: `a process ${pattern}`,
    });
  }
}

export async function runCli(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  input = '',
): Promise<CliResult> {
  const child = Bun.spawn([process.execPath, cliMain, ...args], {
    env: { ...process.env, ...env },
    stdin: Buffer.from(input),
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { code, out, err };
}

const webScript = `
const who = process.env.SLUICE_INSTANCE;
Bun.serve({ hostname: '127.0.0.1', port: Number(process.env.PORT), async fetch(request) {
  const url = new URL(request.url);
  if (url.pathname === '/env') return Response.json(process.env);
  if (url.pathname !== '/hop') return new Response(who + ' ' + url.pathname);
  const target = 'http://' + process.env.API_SERVICE_HOST + ':' + process.env.API_SERVICE_PORT + '/from-web';
  const reply = await fetch(target);
  return new Response(who + ' > ' + (await reply.text()), { status: reply.status });
} });
console.log('web serves');
`;

/** A folder with two workloads, `web` that calls `api`, and no more configuration than that. */
export function makeSmallMesh(extra = ''): string {
  const dir = makeTempDir();
  mkdirSync(join(dir, 'mesh'));
  writeFileSync(join(dir, 'serve.ts'), webScript);
  writeFileSync(
    join(dir, 'sluice.yaml'),
    `name: small
workloads:
  web:
    command: bun serve.ts
    port: 8088
    readiness: { http: / }
  api:
    command: bun serve.ts
    port: 8089
    replicas: 2
    readiness: { http: / }
${extra}`,
  );
  return dir;
}

function readProc(pid: string, file: string): string {
  const path = join('/proc', pid, file);
  try {
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  } catch {
    return ''; // It ended between the two looks, or belongs to somebody else.
  }
}
