/** The handshake that a filter chain begins with; what follows sees plaintext and knows who the peer is. */
import type { Connection } from '../io/connection.ts';
import type { TlsFacts } from '../io/tls-facts.ts';
import type { ConnectionFacts } from '../listener/connection-facts.ts';
import type { FilterChain, ListenerRuntime } from '../listener/listener.ts';
import type { ServeServices } from './serve-services.ts';

/**
 * Without `transport_socket_connect_timeout` a client that never finishes its handshake would hold its
 * connection for ever, which Envoy lets it.
 */
const DEFAULT_HANDSHAKE_TIMEOUT_MS = 15_000;

interface PresentedIdentity {
  readonly isPeerVerified: boolean;
  readonly peer: { readonly uriSans: readonly string[] } | null;
}

/** Calls `onSecured` with what was read in plaintext so far; never when the handshake fails. */
export function secureChain(
  connection: Connection,
  facts: ConnectionFacts,
  listener: ListenerRuntime,
  chain: FilterChain,
  peeked: Uint8Array | null,
  services: ServeServices,
  onSecured: (peeked: Uint8Array | null) => void,
): void {
  const { transport, transportSocketConnectTimeoutMs } = chain;
  if (transport === null) {
    onSecured(peeked);
    return;
  }
  const timeoutMs = transportSocketConnectTimeoutMs || DEFAULT_HANDSHAKE_TIMEOUT_MS;
  connection.startTls(transport.tls, peeked, timeoutMs, {
    onSecured(_connection, tls) {
      learn(facts, tls);
      onSecured(null);
    },
    onTlsFailed(_connection, { reason }) {
      facts.transportFailure = reason;
      services.logRefusedConnection(listener, facts, '', '');
    },
  });
}

function learn(facts: ConnectionFacts, tls: TlsFacts): void {
  facts.tls = tls;
  facts.transportProtocol = 'tls';
  facts.serverName = tls.serverName;
  facts.isMutualTls = tls.isPeerVerified;
  facts.peerIdentity = peerIdentityOf(tls);
}

/** A certificate of several names is no SVID (X509-SVID §2): which of them to believe would be anybody's guess. */
export function peerIdentityOf({ isPeerVerified, peer }: PresentedIdentity): string | null {
  const [name, ...others] = peer?.uriSans ?? [];
  if (!isPeerVerified || name === undefined || others.length > 0) return null;
  return name.startsWith('spiffe://') ? name : null;
}
