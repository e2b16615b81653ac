/** The certificates that a TLS client presented, as bytes: judged by our own reader, not by the engine's verdict. */
import type { DetailedPeerCertificate, TLSSocket } from 'node:tls';
import type { Socket } from 'node:net';

/** Longer chains are no chains of a mesh. */
const maxLength = 16;

/** DER, the leaf first; empty for a client without a certificate, and for plaintext. */
export function presentedChain(socket: Socket): readonly Uint8Array[] {
  // A session's socket is a view of the TLS socket: `instanceof` and `in` do not see through it.
  const { getPeerCertificate } = socket as Partial<TLSSocket>;
  if (getPeerCertificate === undefined) return [];
  const chain: Uint8Array[] = [];
  let at: DetailedPeerCertificate | undefined = (socket as TLSSocket).getPeerCertificate(true);
  while (at?.raw !== undefined && chain.length < maxLength) {
    chain.push(new Uint8Array(at.raw));
    // The engine lets a self-signed certificate be its own issuer.
    at = at.issuerCertificate === at ? undefined : at.issuerCertificate;
  }
  return chain;
}
