/** What a command gets of the world: its arguments, where to write, and nothing of `process`. */
import type { ParsedArgs } from './args/parse.ts';
import type { Palette } from './output/palette.ts';

export interface Output {
  /** Results. */
  write(text: string): void;
  /** Notices, warnings, problems. */
  writeError(text: string): void;
  readonly isTerminal: boolean;
  /** Width of the terminal, 0 when there is none. */
  readonly columns: number;
  readonly palette: Palette;
}

export interface CommandContext {
  readonly args: ParsedArgs;
  readonly out: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly readStdin: () => Promise<string>;
  readonly signals: Signals;
  /** How this command line is to be typed here: `sluice`, or what a clone needs. */
  readonly invokedAs: string;
}

/** SIGINT, SIGTERM and SIGHUP as they arrive, until `stop`. */
export interface Signals {
  listen(onSignal: (signal: NodeJS.Signals) => void): { stop(): void };
  /** Ends the process at once. */
  exit(status: number): never;
}

/** What the module of a command exports. */
export interface CommandModule {
  readonly run: (context: CommandContext) => Promise<number>;
}
