/**
 * Why a command does not do what it was asked: by code, for docs/errors.md and for whoever branches on it. Each
 * message says what to do; main.ts prints it and turns it into an exit status.
 */
import { defineErrors, MeshError, type CodeOf } from '@sluice/runtime';

export const cliErrors = defineErrors('cli', [
  {
    code: 'usage',
    meaning: 'The command line is not understood.',
    action: 'Follow the hint, or see `sluice help COMMAND`.',
  },
  {
    code: 'mesh-not-found',
    meaning: 'No running mesh was found from this folder.',
    action: 'Start one with `sluice up`, or name it with `--state-dir` or `--server` and `--token-file`.',
  },
  {
    code: 'control-unreachable',
    meaning: 'The control plane does not answer.',
    action: 'See `sluice check`, and the log in logs/control.log of the state directory.',
  },
  {
    code: 'api-refused',
    meaning: 'The control plane refused the request.',
    action: 'The message holds its reason.',
  },
  {
    code: 'file-unusable',
    meaning: 'A file could not be read, or what it holds is not valid.',
    action: 'Correct what the message lists, each with its line.',
  },
  {
    code: 'mesh-running',
    meaning: 'The mesh of this folder runs already.',
    action: 'Use it, stop it, or give this one its own `--state-dir`.',
  },
  {
    code: 'port-taken',
    meaning: 'A port that sluice.yaml asks for is in use.',
    action: 'Stop what uses it, or choose another in sluice.yaml.',
  },
  {
    code: 'process-failed',
    meaning: 'A process of the mesh ended instead of becoming ready.',
    action: 'The message shows the end of its log.',
  },
  {
    code: 'program-missing',
    meaning: 'None of the programs that could run a workload is on PATH.',
    action: 'Install one of those the message names, or change `command` in sluice.yaml.',
  },
]);

export type CliErrorCode = CodeOf<typeof cliErrors>;

/** A failure with words for whoever typed the command. */
export function cliError(code: CliErrorCode, message: string, cause?: unknown): MeshError<CliErrorCode> {
  return cliErrors.error(
    code,
    cause === undefined ? { source: 'local', message } : { source: 'local', message, cause },
  );
}

export function hasCliCode(error: unknown, code: CliErrorCode): error is MeshError<CliErrorCode> {
  return error instanceof MeshError && error.code === code;
}

/** Any of this package's errors: the message is meant for people and needs no stack. */
export function isCliError(error: unknown): error is MeshError<CliErrorCode> {
  return error instanceof MeshError && cliErrors.has(error.code);
}

/** Exit statuses of all commands. */
export const exitStatus = {
  done: 0,
  /** Findings, refused resources, differences, or the command failed. */
  failed: 1,
  usage: 2,
  /** 128 + SIGINT. */
  interrupted: 130,
} as const;
