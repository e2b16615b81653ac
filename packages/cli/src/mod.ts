/** What other packages may use of @sluice/cli: its error codes, from which docs/errors.md is generated. */
export { cliErrors, type CliErrorCode } from './errors.ts';
export { commands } from './commands/list.ts';
