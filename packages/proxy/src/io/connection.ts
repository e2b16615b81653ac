/**
 * What the data path knows of a socket: one interface over Bun's sockets and over node:net.
 *
 * Bun's sockets are the fast way (half the CPU of node:net); the node twin keeps the way back open and is
 * held to the same suite (`connection.suite.ts`). Handlers are objects with methods, one per connection
 * kind and not per event, so that a connection costs no closure and may change hands (an upgrade gives the
 * connection to the tunnel by assigning `handler`).
 *
 * Contract of order: onData*, onEnd at most once, onClose exactly once and last. onDrain may come any time
 * before onClose. A handler that throws loses its connection, never the process.
 */
import type { TcpKeepalive } from './keepalive.ts';
import type { CountedConnection } from './once-closed.ts';
import type { TlsClientContext, TlsFailure, TlsServerContext } from './tls-context.ts';
import type { TlsFacts } from './tls-facts.ts';

export interface ConnectionHandler {
  /** The receiver owns `data`: it is never reused, so parts may be kept or written on without a copy. */
  onData(connection: Connection, data: Uint8Array): void;
  /** The peer has finished sending (FIN). Writing goes on. */
  onEnd(connection: Connection): void;
  /** What waited has fallen to half of the high-water mark or less, after having been above it. */
  onDrain(connection: Connection): void;
  onClose(connection: Connection, cause: CloseCause): void;
}

/** Also told how a connection attempt ended; one of the two comes first, and exactly once. */
export interface ConnectHandler extends ConnectionHandler {
  onConnect(connection: Connection): void;
  /** Nothing was sent. The connection is dead; onClose does not follow. */
  onConnectError(connection: Connection, failure: ConnectFailure): void;
}

/**
 * `local`: we closed it. `remote`: the peer closed in order. `reset`: the peer or the kernel aborted.
 * `overflow`: more was written than the byte cap allows (a broken invariant of ours).
 */
export type CloseCause = 'local' | 'remote' | 'reset' | 'overflow';

/**
 * `tls`: the handshake failed or its outcome was refused; `identity-…`: there was nothing to shake hands with.
 * `Connection.failureDetail` says why.
 */
export type ConnectFailure =
  | 'refused'
  | 'timeout'
  | 'unreachable'
  | 'no-descriptor'
  | 'failed'
  | 'tls'
  | 'identity-missing'
  | 'identity-expired';

export interface Connection extends CountedConnection {
  handler: ConnectionHandler;
  readonly localAddress: string;
  readonly localPort: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** -1 where the platform hides it. */
  readonly fd: number;
  /** Written and not yet taken by the kernel. */
  readonly bufferedBytes: number;
  /** False above the high-water mark, until onDrain. Producers then stop; nothing is refused. */
  readonly isWritable: boolean;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** Null on a plain connection and until the handshake has been judged. */
  readonly tls: TlsFacts | null;
  /** Why TLS failed, for `%…_TRANSPORT_FAILURE_REASON%`; empty = it did not. */
  readonly failureDetail: string;
  /**
   * Server side: makes this plain connection a TLS one; `peeked` is what was read of it so far. Until
   * `handler` hears of the outcome nobody else hears of the connection. 0 ms = no limit.
   */
  startTls(
    context: TlsServerContext,
    peeked: Uint8Array | null,
    timeoutMs: number,
    handler: TlsHandshakeHandler,
  ): void;

  /**
   * Room for `byteCount` octets that are written in place: fill the returned buffer from `writeOffset`,
   * then call `commit(end)`. Valid until the next call on this connection.
   */
  reserve(byteCount: number): Uint8Array;
  readonly writeOffset: number;
  commit(end: number): void;
  /** Sends [start, end) of `data` when the turn of the event loop ends. `data` must not change afterwards. */
  write(data: Uint8Array, start: number, end: number): void;
  /** Sends what waits now, rather than at the end of the turn. */
  flush(): void;

  /** No onData until resume; the kernel's window closes. A FIN is not seen either. */
  pause(): void;
  resume(): void;
  readonly isPaused: boolean;

  /** Half-close: FIN after what waits. Reading goes on; when both sides ended the socket closes. */
  end(): void;
  /** Sends what waits, then closes both directions. */
  close(): void;
  /** Aborts: drops what waits and resets the peer. Also cancels a connection attempt, without a callback. */
  terminate(): void;
}

/** Hears how a server-side handshake ended: one of the two, exactly once. */
export interface TlsHandshakeHandler {
  /** Sets `connection.handler`; plaintext follows. */
  onSecured(connection: Connection, facts: TlsFacts): void;
  /** The connection is dead; its handler is not told. */
  onTlsFailed(connection: Connection, failure: TlsFailure): void;
}

/** Dial as the client itself (Linux, CAP_NET_ADMIN): replies only come back where routes lead them to this machine. */
export interface ClientSource {
  readonly address: string;
  /** SO_MARK, by which such routes are chosen; 0 = none. */
  readonly mark: number;
}

export interface ConnectTarget {
  /** IPv4 or IPv6 address, or the path of a Unix socket (`port` 0). */
  readonly address: string;
  readonly port: number;
  readonly sourceAddress: string | null;
  /** Goes before `sourceAddress`; where it cannot be had the attempt fails. Absent = none. */
  readonly clientSource?: ClientSource | null;
  /** Null = off. */
  readonly keepalive: TcpKeepalive | null;
  /** 0 = the kernel's own. Covers the TLS handshake too. */
  readonly connectTimeoutMs: number;
  readonly highWaterBytes: number;
  /** Null = plain. `onConnect` then comes after the handshake was judged, and nothing is sent before. */
  readonly tls: TlsClientContext | null;
  /** Octets that go before everything else, TLS included: a PROXY header. Absent = none. */
  readonly preface?: Uint8Array | null;
}

/** What accepting needs; both twins implement it. */
export interface AcceptTarget {
  /** Adopted listening descriptor, or an address to bind. */
  readonly bind:
    | { readonly fd: number }
    | { readonly address: string; readonly port: number; readonly ipv6Only?: boolean }
    | { readonly unixPath: string };
  readonly highWaterBytes: number;
}

export interface SocketListener {
  /** -1 with an adopted descriptor or a Unix socket. */
  readonly port: number;
  /** -1 where the platform hides it. */
  readonly fd: number;
  /** Closes the listening socket; accepted connections live on. */
  stop(): void;
}

/** One implementation of sockets. `onAccept` gets a connection whose handler is still to be set. */
export interface SocketProvider {
  listen(target: AcceptTarget, onAccept: (connection: Connection) => void): SocketListener;
  connect(target: ConnectTarget, handler: ConnectHandler): Connection;
}
