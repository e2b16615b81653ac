/**
 * Network filters in front of a terminal handler: each sees the bytes first and may close the connection.
 * A chain without network filters costs nothing: the terminal handler is the connection's own.
 */
import type { CloseCause, Connection, ConnectionHandler } from '../io/connection.ts';
import type { ConnectionFacts } from '../listener/connection-facts.ts';
import type { NetworkFilter, NetworkFilterBinding } from './filter.ts';

/** The handler to give to the connection, or null when a filter refused it (and closed it). */
export function withNetworkFilters(
  connection: Connection,
  facts: ConnectionFacts,
  bindings: readonly NetworkFilterBinding[],
  terminal: () => ConnectionHandler,
): ConnectionHandler | null {
  if (bindings.length === 0) return terminal();
  const filters = bindings.map((binding) => binding.create());
  for (let i = 0; i < filters.length; i++) {
    if (filters[i]!.onConnection?.(facts) !== 'close') continue;
    for (let seen = 0; seen <= i; seen++) filters[seen]!.onEnd?.();
    connection.terminate();
    return null;
  }
  return new FilteredHandler(filters, terminal());
}

class FilteredHandler implements ConnectionHandler {
  readonly #filters: readonly NetworkFilter[];
  readonly #terminal: ConnectionHandler;

  constructor(filters: readonly NetworkFilter[], terminal: ConnectionHandler) {
    this.#filters = filters;
    this.#terminal = terminal;
  }

  onData(connection: Connection, data: Uint8Array): void {
    for (const filter of this.#filters) {
      if (filter.onData?.(data) !== 'close') continue;
      connection.terminate();
      return;
    }
    this.#terminal.onData(connection, data);
  }
  onEnd(connection: Connection): void {
    this.#terminal.onEnd(connection);
  }
  onDrain(connection: Connection): void {
    this.#terminal.onDrain(connection);
  }
  onClose(connection: Connection, cause: CloseCause): void {
    for (const filter of this.#filters) filter.onEnd?.();
    this.#terminal.onClose(connection, cause);
  }
}
