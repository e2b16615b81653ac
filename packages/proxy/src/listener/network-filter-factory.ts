/** Makes a network filter from its configuration; the twin of `HttpFilterFactory` for connections. */
import type { ConfigProblem, NetworkFilterBinding } from '../filter/filter.ts';

export interface NetworkFilterFactory {
  /** e.g. `envoy.filters.network.rbac`. */
  readonly name: string;
  /** Full names of its configuration messages. */
  readonly configTypes: readonly string[];
  /** Null when the message cannot be honoured; problems say why. */
  compile(message: unknown, problems: ConfigProblem[]): NetworkFilterBinding | null;
}
