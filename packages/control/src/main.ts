/**
 * `sluice control` as a process: log to stderr, signals, exit status. The only file of this package that looks at
 * the process it runs in.
 */
import { createLogger, sluiceVersion, StopRequests } from '@sluice/runtime';
import { isControlError } from './errors.ts';
import { controlUsage, parseControlArgs } from './control-args.ts';
import type { ControlArgs } from './control-args.ts';
import { createMeshServing } from './serve/create-mesh-serving.ts';
import type { CreateMeshServing } from './serve/mesh-serving.ts';
import { startControl } from './stack.ts';
import { runStateCommand } from './state-command.ts';

/** Exit statuses: stopped as asked, could not start, ended by a second signal (128 + SIGINT). */
const exitStatus = { stopped: 0, failed: 1, forced: 130 } as const;

export interface ControlProcess {
  readonly version: string;
  readonly serving: CreateMeshServing;
}

/** Runs until SIGTERM or SIGINT and resolves with the exit status. A second signal ends the process at once. */
export async function runControl(args: ControlArgs, { version, serving }: ControlProcess): Promise<number> {
  const log = createLogger({
    component: 'control',
    level: args.logLevel,
    format: args.logFormat,
    write: (line) => void process.stderr.write(line),
  });
  const stopRequested = Promise.withResolvers<NodeJS.Signals>();
  const requests = new StopRequests();
  const onSignal = (signal: NodeJS.Signals): void => {
    if (requests.hear() === 'again') process.exit(exitStatus.forced);
    stopRequested.resolve(signal);
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  // A fault in one session or timer must not take the mesh's control plane down: it is told, and the rest goes on.
  const onFault = (error: unknown): void => {
    log.error('a fault of the control plane', {
      error: error instanceof Error ? (error.stack ?? '') : String(error),
    });
  };
  process.on('uncaughtException', onFault);
  process.on('unhandledRejection', onFault);
  // The log's reader went away; there is nowhere left to say so.
  const onLogClosed = (): void => {};
  process.stderr.on('error', onLogClosed);
  try {
    const control = await startControl(args, { serving, log, version });
    // A link in a log file would outlive its ten minutes in backups; a terminal is where it is wanted.
    if (process.stderr.isTTY) process.stderr.write(`page: ${control.loginLink()}\n`);
    const signal = await stopRequested.promise;
    log.info('stopping', { signal });
    await control.close();
    return exitStatus.stopped;
  } catch (error) {
    if (!isControlError(error)) throw error;
    process.stderr.write(`sluice control: ${error.message}\n`);
    return exitStatus.failed;
  } finally {
    process.off('SIGTERM', onSignal);
    process.off('SIGINT', onSignal);
    process.off('uncaughtException', onFault);
    process.off('unhandledRejection', onFault);
    process.stderr.off('error', onLogClosed);
  }
}

/** Wrong arguments, as the shell's own commands have it. */
const usageStatus = 2;

if (import.meta.main) {
  const words = process.argv.slice(2);
  if (words.includes('--help') || words.includes('-h')) {
    process.stdout.write(controlUsage);
    process.exit(exitStatus.stopped);
  }
  const ofState = runStateCommand(words);
  if (ofState !== null) {
    process.stdout.write(ofState.output);
    process.stderr.write(ofState.error);
    process.exit(ofState.status);
  }
  const parsed = parseControlArgs(words);
  if (!parsed.ok) {
    process.stderr.write(`sluice control: ${parsed.message}\n`);
    process.exit(usageStatus);
  }
  process.exit(await runControl(parsed.args, { version: sluiceVersion, serving: createMeshServing }));
}
