/** For tests of commands: a terminal that keeps what is said on it, and nothing else of the machine. */
import type { CommandContext, Output } from './context.ts';
import { createPalette } from './output/palette.ts';

export interface Said {
  out: string;
  error: string;
}

/** Output without colours to a pipe; `said` grows. */
export function recordedOutput(columns = 0): { readonly said: Said; readonly out: Output } {
  const said = { out: '', error: '' };
  const out: Output = {
    write: (text) => void (said.out += text),
    writeError: (text) => void (said.error += text),
    isTerminal: false,
    columns,
    palette: createPalette(false),
  };
  return { said, out };
}

/** No environment, empty input, no signals; an exit ends the test. */
export function emptySurroundings(cwd: string): Omit<CommandContext, 'args' | 'out'> {
  return {
    env: {},
    cwd,
    readStdin: () => Promise.resolve(''),
    signals: {
      listen: () => ({ stop: () => {} }),
      exit: (status) => {
        throw new Error(`exit ${status}`);
      },
    },
    invokedAs: 'sluice',
  };
}
