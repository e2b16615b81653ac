/** Facts of one downstream connection, shared by listeners, filters and records. */

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
}
