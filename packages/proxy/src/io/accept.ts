/**
 * Accepting on one listening socket, within a cap.
 *
 * At EMFILE the accept loop of the runtime spins, so the number of connections is kept well below
 * RLIMIT_NOFILE: what comes beyond the cap is accepted and closed at once, which costs the client less than
 * hanging in a backlog that nobody empties.
 */
import type { AcceptTarget, Connection, SocketListener, SocketProvider } from './connection.ts';
import type { CountedConnection } from './once-closed.ts';
import { nativeSockets } from './native-socket.ts';

export interface AcceptHandle {
  /** -1 with an adopted descriptor. */
  readonly port: number;
  readonly connectionCount: number;
  /** The listening socket closes; connections live on. */
  stopAccepting(): void;
  /** Ends idle connections now, others after what they are at. */
  drain(): void;
  /** Resets all connections. */
  closeAll(): void;
}

/** What the accepting side must know of a connection that is being served. */
export interface Served {
  /** Ends the connection when it is idle, or after what it is at; a tunnel may ignore it. */
  drain(): void;
  /** Its answers tell the client to close while the listener drains, so that `drain` may come late. */
  readonly endsByAnswer?: boolean;
}

export interface AcceptDeps {
  readonly sockets: SocketProvider;
  /** Asked per connection; false = close it, it is beyond a cap. */
  mayAccept(): boolean;
  /** Takes the connection over: sets its handler. `onServed` names who is to be asked to drain. */
  serve(connection: Connection, onServed: (served: Served) => void): void;
}

/** Descriptors that are not downstream connections: listeners, logs, xDS, the runtime itself. */
const RESERVED_DESCRIPTORS = 128;

export interface ConnectionCap {
  /** Downstream connections that may be open. */
  readonly connections: number;
  /** RLIMIT_NOFILE of the process, which it comes from. */
  readonly descriptorLimit: number;
}

/** Downstream connections that a process may hold: each may need an upstream connection too. */
export function defaultConnectionCap(): ConnectionCap {
  const descriptorLimit = nativeSockets()?.descriptorLimit() ?? 1024;
  const connections = Math.max(64, Math.floor((descriptorLimit - RESERVED_DESCRIPTORS) / 2));
  return { connections, descriptorLimit };
}

export function acceptOn(target: AcceptTarget, deps: AcceptDeps): AcceptHandle {
  const open = new Map<CountedConnection, Served | null>();
  const forget = (connection: CountedConnection): void => void open.delete(connection);
  let isDraining = false;
  const listener: SocketListener = deps.sockets.listen(target, (connection) => {
    if (!deps.mayAccept()) {
      connection.handler = refused;
      connection.terminate();
      return;
    }
    open.set(connection, null);
    connection.onceClosed = forget;
    connection.handler = refused;
    deps.serve(connection, (served) => {
      if (!open.has(connection)) return;
      open.set(connection, served);
      if (isDraining) served.drain();
    });
  });
  return {
    port: listener.port,
    get connectionCount() {
      return open.size;
    },
    stopAccepting: () => listener.stop(),
    drain() {
      isDraining = true;
      for (const served of open.values()) served?.drain();
    },
    closeAll() {
      for (const connection of open.keys()) connection.terminate();
    },
  };
}

/** Of a connection that nobody serves (yet). */
const refused = { onData() {}, onEnd() {}, onDrain() {}, onClose() {} };
