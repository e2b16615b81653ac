/** What a machine needs for a local mesh, looked at one by one, with what to do where it is missing. */
import { accessSync, constants, existsSync, readFileSync, statfsSync } from 'node:fs';
import { defaultControlPorts } from '@sluice/api';
import type { CommandContext } from '../context.ts';
import { hasCliCode } from '../errors.ts';
import { findStateDir, type FindMeshOptions } from '../mesh/find-mesh.ts';
import { runningMeshes } from '../mesh/mesh-record.ts';
import { isCompiled, selfCommand } from '../process/self-command.ts';
import { canBind } from './free-port.ts';
import { defaultPortRange } from './port-book.ts';

export interface CheckResult {
  readonly what: string;
  /** notice: works, but not as well as it could. */
  readonly state: 'fine' | 'notice' | 'failed';
  readonly hint?: string;
}

/** The Bun that everything is tested with. */
const testedBun = '1.4.5';
/** Two descriptors per proxied connection, and some for files and pools. */
const minDescriptors = 4096;
/** Below this, logs and state are soon without room. */
const minFreeMebibytes = 100;
/** Ports looked at of the range that sidecars are given. */
const sampledPorts = 64;

export function checkEnvironment(context: CommandContext): readonly CheckResult[] {
  return [
    checkBun(),
    checkParts(),
    checkDescriptors(),
    ...checkControlPorts(context),
    checkSidecarPorts(),
    checkStateDir(context),
  ];
}

function checkBun(): CheckResult {
  const what = `bun ${Bun.version} on ${process.platform}/${process.arch}`;
  if (Bun.version === testedBun) return { what, state: 'fine' };
  return { what, state: 'notice', hint: `tested with ${testedBun}: "npm ci" installs that one` };
}

function checkParts(): CheckResult {
  const missing = isCompiled
    ? []
    : (['control', 'proxy'] as const)
        .map((part) => selfCommand(part).at(-1) ?? '')
        .filter((path) => !existsSync(path));
  return missing.length === 0
    ? { what: 'control plane and proxy can be started', state: 'fine' }
    : {
        what: 'control plane and proxy can be started',
        state: 'failed',
        hint: `missing: ${missing.join(', ')}`,
      };
}

/** Linux only: elsewhere the limit is not to be read without a child process. */
export function checkDescriptors(): CheckResult {
  const what = 'enough open files are allowed';
  if (process.platform !== 'linux')
    return { what: `${what} (not looked at on ${process.platform})`, state: 'fine' };
  const text = /^Max open files\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? '0';
  const limit = text === 'unlimited' ? Infinity : Number(text);
  if (limit >= minDescriptors) return { what: `${what} (${limit})`, state: 'fine' };
  return {
    what: `${what} (${limit})`,
    state: 'notice',
    hint: `many connections at once need more: ulimit -n ${minDescriptors * 4}`,
  };
}

function checkControlPorts({ env }: CommandContext): readonly CheckResult[] {
  const ours = new Set(
    runningMeshes(env)
      .flatMap(({ api, xds, secure, metrics }) => [api, xds, secure, metrics])
      .map((address) => Number(address.split(':').at(-1))),
  );
  return (['xds', 'secure', 'metrics', 'api'] as const).map((name) => {
    const port = defaultControlPorts[name];
    const what = `port ${port} (${name}) is free`;
    if (canBind(port)) return { what, state: 'fine' };
    if (ours.has(port)) return { what: `port ${port} (${name}) is used by a running mesh`, state: 'fine' };
    return {
      what,
      state: 'notice',
      hint: `another program has it: "sluice up" takes a free one instead and says which`,
    };
  });
}

function checkSidecarPorts(): CheckResult {
  const { from, to } = defaultPortRange;
  const step = Math.floor((to - from) / sampledPorts);
  const free = Array.from({ length: sampledPorts }, (_, index) => from + index * step).filter(canBind).length;
  const what = `ports ${from}-${to} for sidecars`;
  if (free >= sampledPorts / 2) return { what: `${what} are free`, state: 'fine' };
  return {
    what,
    state: 'notice',
    hint: 'more than half of them seem taken: set ports.sidecars in sluice.yaml to another range',
  };
}

/** Looks without writing: a check leaves nothing behind. */
function checkStateDir({ args, env, cwd }: CommandContext): CheckResult {
  const folder = stateFolder({ args, env, cwd });
  const what = `state can be kept in ${folder}`;
  try {
    accessSync(folder, constants.W_OK);
  } catch {
    return {
      what,
      state: 'notice',
      hint: 'the folder cannot be written: "sluice up" keeps the state in the temporary folder then',
    };
  }
  const free = freeMebibytes(folder);
  if (free >= minFreeMebibytes) return { what, state: 'fine' };
  return {
    what,
    state: 'notice',
    hint: `only ${free} MiB are free on that disk: logs and state need room (${minFreeMebibytes} MiB and more)`,
  };
}

/** That of the mesh which is meant; where none was, the folder that would have one. */
function stateFolder(options: FindMeshOptions): string {
  try {
    const found = findStateDir(options);
    return existsSync(found) ? found : options.cwd;
  } catch (error) {
    if (!hasCliCode(error, 'mesh-not-found')) throw error;
    return options.cwd;
  }
}

/** Infinite where the file system does not tell. */
export function freeMebibytes(folder: string): number {
  try {
    const { bavail, bsize, blocks } = statfsSync(folder);
    return blocks === 0 ? Infinity : Math.floor((bavail * bsize) / 1024 ** 2);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    return Infinity;
  }
}
