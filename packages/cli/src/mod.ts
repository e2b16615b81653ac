/**
 * What other packages may use of @sluice/cli: its error codes and commands, for generated documents, and the command
 * line itself, for the one-file executable that is control plane and proxy as well.
 */
export { cliErrors, type CliErrorCode } from './errors.ts';
export { commands } from './commands/list.ts';
export type { CommandSpec } from './args/command-spec.ts';
export { main as runCommandLine } from './main.ts';
