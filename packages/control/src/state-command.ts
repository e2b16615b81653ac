/**
 * `sluice control backup|restore FILE --state-dir DIR`: the state file copied out of, or put back into, a state
 * directory. Says what it did as one line of JSON, for the command line that called it.
 */
import { parseArgs } from 'node:util';
import { isControlError } from './errors.ts';
import { backUpState, restoreState } from './source/backup.ts';

export interface StateCommandResult {
  readonly status: number;
  readonly output: string;
  readonly error: string;
}

const works = { backup: backUpState, restore: restoreState } as const;
const status = { done: 0, failed: 1, usage: 2 } as const;

/** Null when the words are not one of these commands. */
export function runStateCommand(words: readonly string[]): StateCommandResult | null {
  const [name, ...rest] = words;
  if (name !== 'backup' && name !== 'restore') return null;
  try {
    const { values, positionals } = parseArgs({
      args: rest,
      allowPositionals: true,
      options: { 'state-dir': { type: 'string' } },
    });
    const [file, ...more] = positionals;
    const stateDir = values['state-dir'];
    if (file === undefined || more.length > 0 || stateDir === undefined)
      return refuse(status.usage, `usage: control ${name} FILE --state-dir DIR`);
    return { status: status.done, output: `${JSON.stringify(works[name](stateDir, file))}\n`, error: '' };
  } catch (error) {
    if (isControlError(error)) return refuse(status.failed, error.message);
    if (error instanceof TypeError) return refuse(status.usage, error.message);
    throw error;
  }
}

function refuse(code: number, message: string): StateCommandResult {
  return { status: code, output: '', error: `${message}\n` };
}
