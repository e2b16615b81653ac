/** The data plane: a proxy configured by an Envoy bootstrap and xDS. */
export { main as runProxy } from './main.ts';
export { parseCommandLine, usage, type CommandLine, type ParsedCommandLine } from './command-line.ts';
export {
  BootstrapError,
  loadBootstrap,
  type BootstrapSource,
  type LoadedBootstrap,
} from './config/bootstrap.ts';
