/** Transport sockets as the data path sees them: what a filter chain does first, and how an endpoint is reached. */
import type { ClientSource, Connection } from '../io/connection.ts';
import type { TlsClientContext, TlsServerContext } from '../io/tls-context.ts';
import type { ConnectionFacts } from '../listener/connection-facts.ts';

export interface DownstreamTransport {
  readonly tls: TlsServerContext;
  /** Names who ends a secured connection gently when its certificate has been renewed. */
  served(connection: Connection, served: { drain(): void }): void;
}

/** The PROXY header that an endpoint asks for. */
export interface UpstreamProxyHeader {
  /** Part of the pool's key: equal text means equal headers for one downstream connection. */
  readonly key: string;
  /** Null facts: a connection of our own (a health check), which the header says. */
  bytes(downstream: ConnectionFacts | null): Uint8Array;
}

export interface UpstreamTransport {
  /** Part of the pool's key: differs between transports, and changes with each generation of a credential. */
  readonly key: string;
  /** Null = plain. */
  readonly tls: TlsClientContext | null;
  /** What is offered by ALPN, in order; empty where nothing is. */
  readonly offersAlpn: readonly string[];
  /** Each connection begins with a PROXY header, before TLS; absent = it does not. */
  readonly proxyHeader?: UpstreamProxyHeader | null;
  /** That header, once it is known for whom: in transports made for one connection. */
  readonly preface?: Uint8Array | null;
  /** Connections are made from the client's address: in transports made for one client. */
  readonly clientSource?: ClientSource | null;
}

export const plainTransport: UpstreamTransport = { key: 'raw_buffer', tls: null, offersAlpn: [] };
