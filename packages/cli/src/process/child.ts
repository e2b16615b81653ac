/**
 * A child process as the supervisor sees it: in a session and process group of its own, so that Ctrl-C in the
 * terminal reaches us alone and everything is stopped in order, and so that what the child started ends with it.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { identify, type ProcessIdentity } from './identity.ts';

export interface ChildSpec {
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /**
   * A file takes both outputs directly, also when we are gone; a function gets the output's text. Without a file that
   * can be opened the child runs all the same, unheard, and `onUnusable` is told why.
   */
  readonly output:
    | { readonly file: string; readonly onUnusable?: (reason: string) => void }
    | { readonly onText: (text: string, isError: boolean) => void };
}

export interface ChildExit {
  readonly code: number | null;
  readonly signal: string | null;
  /** Why it could not be started at all. */
  readonly failure?: string;
}

export interface Child {
  readonly pid: number | undefined;
  readonly identity: ProcessIdentity | undefined;
  readonly exited: Promise<ChildExit>;
  /** To the whole group. */
  signal(signal: NodeJS.Signals): void;
}

export type SpawnChild = (spec: ChildSpec) => Child;

/** Never throws: what cannot be started is an exit with its reason. */
export const spawnChild: SpawnChild = (spec) => {
  const { argv, cwd, env, output } = spec;
  const [command = '', ...args] = argv;
  const fd = 'file' in output ? openOutput(output) : undefined;
  const stdio = fd ?? ('file' in output ? 'ignore' : 'pipe');
  try {
    return watch(
      spawn(command, args, { cwd, env: { ...env }, detached: true, stdio: ['ignore', stdio, stdio] }),
      spec,
    );
  } catch (error) {
    // Some refusals come at once: a text file without a first line that says what runs it.
    const failure = describeSpawnFailure(error, command, cwd);
    return {
      pid: undefined,
      identity: undefined,
      exited: Promise.resolve({ code: null, signal: null, failure }),
      signal: () => {},
    };
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
};

function openOutput(output: {
  readonly file: string;
  readonly onUnusable?: (reason: string) => void;
}): number | undefined {
  try {
    return openSync(output.file, 'a', 0o600);
  } catch (error) {
    output.onUnusable?.(error instanceof Error ? error.message : String(error));
    return undefined;
  }
}

function watch(child: ChildProcess, { argv, cwd, output }: ChildSpec): Child {
  if ('onText' in output) {
    child.stdout?.setEncoding('utf8').on('data', (text: string) => output.onText(text, false));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => output.onText(text, true));
  }
  const { promise: exited, resolve } = Promise.withResolvers<ChildExit>();
  child.on('error', (error) => {
    resolve({ code: null, signal: null, failure: describeSpawnFailure(error, argv[0] ?? '', cwd) });
  });
  child.on('exit', (code, signal) => {
    // What the process left behind in its group would hold its ports.
    signalGroup(child.pid, 'SIGKILL');
    resolve({ code, signal });
  });
  return {
    pid: child.pid,
    identity: child.pid === undefined ? undefined : identify(child.pid),
    exited,
    signal: (signal) => void signalGroup(child.pid, signal),
  };
}

/** True when somebody was there to get it. */
export function signalGroup(pid: number | undefined, signal: NodeJS.Signals): boolean {
  if (pid === undefined || pid <= 1) return false;
  try {
    process.kill(-pid, signal);
    return true;
  } catch {
    return false; // ESRCH: the group is gone, which is what signals to it are for.
  }
}

/** `exited with 3`, `was killed by SIGKILL`. */
export function describeExit({ code, signal, failure }: ChildExit): string {
  if (failure !== undefined) return failure;
  return signal === null ? `exited with ${code ?? 0}` : `was killed by ${signal}`;
}

function describeSpawnFailure(error: unknown, command: string, cwd: string): string {
  const code = error instanceof Error && 'code' in error ? error.code : '';
  if (code === 'ENOENT') return `could not be started: there is no program ${command}, or no folder ${cwd}`;
  if (code === 'EACCES' || code === 'ENOEXEC') return `could not be started: ${command} cannot be executed`;
  return `could not be started: ${error instanceof Error ? error.message : String(error)}`;
}
