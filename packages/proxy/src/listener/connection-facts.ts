/** Facts of one downstream connection, shared by listeners, filters and records. */

import type { ProxyTlv } from '@sluice/wire';
import type { ClientSource } from '../io/connection.ts';
import type { TlsFacts } from '../io/tls-facts.ts';

/** What is known about a connection. Filled in as listener filters learn more. */
export interface ConnectionFacts {
  localAddress: string;
  localPort: number;
  remoteAddress: string;
  remotePort: number;
  /** From SO_ORIGINAL_DST, TPROXY, PROXY header or an explicit map; else the local address. */
  destinationAddress: string;
  destinationPort: number;
  isDestinationRestored: boolean;
  transportProtocol: 'raw_buffer' | 'tls';
  serverName: string;
  applicationProtocols: readonly string[];
  /** SPIFFE ID of the peer once mutual TLS has proven it; null before. */
  peerIdentity: string | null;
  isMutualTls: boolean;
  /** Null on a plain connection. */
  tls: TlsFacts | null;
  /** Why the handshake failed; absent or empty = it did not. */
  transportFailure?: string;
  /** Set where a PROXY header gave the addresses above; the socket's own are then here. */
  proxied?: ProxiedFacts | null;
  /** Endpoints are dialled from this address (`original_src`); absent or null = from our own. */
  clientSource?: ClientSource | null;
}

/** What a PROXY header has replaced or added. */
export interface ProxiedFacts {
  /** Of the proxy that wrote the header. */
  readonly directRemoteAddress: string;
  readonly directRemotePort: number;
  /** As received, for those who pass them on. */
  readonly tlvs: readonly ProxyTlv[];
  /** Dynamic metadata that the listener filter's rules made of values: namespace, key, text. */
  readonly metadata: ReadonlyMap<string, ReadonlyMap<string, string>>;
}
