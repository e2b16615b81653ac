/** What the dispatcher, the help and the completion know of a command before any of its code is loaded. */
import type { CommandModule } from '../context.ts';
import type { FlagSpec } from './parse.ts';

export interface CommandSpec {
  readonly name: string;
  readonly summary: string;
  /** After the name: `KIND [NAME…]`. */
  readonly usage: string;
  readonly flags: readonly FlagSpec[];
  /** Names under which hands know it from elsewhere. */
  readonly aliases?: readonly string[];
  /** Words beside flags that it takes; absent when any number. More are refused, never ignored. */
  readonly maxWords?: number;
  /** Further lines of help: examples, exit statuses. */
  readonly details?: string;
  /** The words of the first argument, when it is one of a few. */
  readonly words?: readonly string[];
  /** All arguments belong to another program: no flags are read. */
  readonly isPassedThrough?: boolean;
  readonly load: () => Promise<CommandModule>;
}
