/** `sluice backup` and `sluice restore`: the control plane's own program does it; this finds the state and says how it went. */
import { resolve } from 'node:path';
import type { CommandContext, CommandModule } from '../context.ts';
import { cliError, exitStatus } from '../errors.ts';
import { findStateDir } from '../mesh/find-mesh.ts';
import { isRunning, readMeshRecord } from '../mesh/mesh-record.ts';
import { selfCommand } from '../process/self-command.ts';
import { processEnv } from '../up/sidecar.ts';

interface Summary {
  readonly path: string;
  readonly resources: number;
  readonly revision: number;
}

export const backup: CommandModule = {
  async run(context) {
    const file = readFile(context, 'backup');
    const { path, resources, revision } = await work('backup', file, findStateDir(context), context);
    context.out.write(`${path}: ${resources} resources, revision ${revision}\n`);
    return exitStatus.done;
  },
};

export const restore: CommandModule = {
  async run(context) {
    const file = readFile(context, 'restore');
    const stateDir = findStateDir(context);
    const record = readMeshRecord(stateDir);
    if (record !== undefined && isRunning(record)) {
      throw cliError(
        'mesh-running',
        `the mesh runs (process ${record.process.pid}): stop it first, then restore, then start it again`,
      );
    }
    const { path, resources, revision } = await work('restore', file, stateDir, context);
    context.out.write(
      `${path}: ${resources} resources, revision ${revision}; what was there is kept beside it as state.db.before-restore\n`,
    );
    return exitStatus.done;
  },
};

function readFile({ args, cwd }: CommandContext, command: string): string {
  const [file, ...more] = args.positional;
  if (file === undefined || more.length > 0) throw cliError('usage', `name one file: ${command} FILE`);
  return resolve(cwd, file);
}

async function work(
  name: 'backup' | 'restore',
  file: string,
  stateDir: string,
  { env }: CommandContext,
): Promise<Summary> {
  const child = Bun.spawn([...selfCommand('control'), name, file, '--state-dir', stateDir], {
    env: processEnv(env),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [output, error, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  if (code !== 0) throw cliError('process-failed', error.trim());
  return JSON.parse(output) as Summary;
}
