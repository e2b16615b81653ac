/** A connection attempt: from the call to the moment when it is known which HTTP will be spoken on it. */
import type { PriorityLimits } from '../cluster/cluster.ts';
import type { CloseCause, ConnectFailure, ConnectHandler, Connection } from '../io/connection.ts';

export interface OpeningOwner {
  /** Gives the connection its handler. */
  onOpened(opening: OpeningConnection, connection: Connection): void;
  onOpenFailed(opening: OpeningConnection, failure: ConnectFailure, detail: string): void;
}

export class OpeningConnection implements ConnectHandler {
  readonly limits: PriorityLimits;
  /** Streams that it is expected to take. */
  readonly capacity: number;
  readonly #owner: OpeningOwner;

  constructor(owner: OpeningOwner, limits: PriorityLimits, capacity: number) {
    this.#owner = owner;
    this.limits = limits;
    this.capacity = capacity;
  }

  onConnect(connection: Connection): void {
    this.#owner.onOpened(this, connection);
  }

  onConnectError(connection: Connection, failure: ConnectFailure): void {
    const detail = connection.failureDetail;
    this.#owner.onOpenFailed(this, failure, detail === '' ? `connection ${failure}` : detail);
  }

  // Never: whoever took the connection over at onConnect hears these.
  onData(): void {}
  onEnd(): void {}
  onDrain(): void {}
  onClose(_connection: Connection, _cause: CloseCause): void {}
}
