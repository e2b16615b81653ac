/**
 * The certificates a peer showed, read once: a sidecar sees the same few peers again and again, so what was read is
 * kept by the leaf it was read for. A peer that shows its leaf again, which only the owner of its key can, is known by
 * the chain it showed first: asking the engine for a chain costs more than the rest of what follows a handshake.
 *
 * A chain that did not lead to a trusted root is not kept: who leaves out its issuer once would be known without it,
 * and no revocation list of the issuer could be told from a forged one afterwards. Nor does one hold where other roots
 * are trusted: what they have revoked may stand in the chain that is shown there.
 */
import { createHash } from 'node:crypto';
import { chainPem, isProblem, parseCertificate, type Certificate } from '@sluice/identity';
import type { TlsSettings } from './tls-context.ts';
import type { PeerCertificate } from './tls-facts.ts';

/** Peers that are remembered for one settings object; a certificate with its parsed form is about 4 KB. */
const maxKept = 512;

/** Those who shook hands by the same settings, and so by the same roots, and were accepted. */
export class KnownPeers {
  readonly #kept = new Map<string, PeerCertificate>();

  /**
   * Of a peer whose chain the engine has accepted. `leaf`: DER of what it proved to own. `chain`: all it showed,
   * leaf first. Null when the leaf cannot be read.
   */
  take(leaf: Uint8Array, chain: () => readonly Uint8Array[]): PeerCertificate | null {
    const key = createHash('sha256').update(leaf).digest('hex');
    const known = this.#kept.get(key);
    if (known !== undefined) {
      // The least recently seen is first in line to be forgotten.
      this.#kept.delete(key);
      this.#kept.set(key, known);
      return known;
    }
    const read = readChain(chain());
    if (read === null) return null;
    if (this.#kept.size >= maxKept) this.#kept.delete(this.#kept.keys().next().value!);
    this.#kept.set(key, read);
    return read;
  }

  /** It was refused: perhaps for a chain that it will show no more. */
  forget({ sha256 }: PeerCertificate): void {
    this.#kept.delete(sha256);
  }
}

const knownPeers = new WeakMap<TlsSettings, KnownPeers>();

export function peersOf(settings: TlsSettings): KnownPeers {
  let peers = knownPeers.get(settings);
  if (peers === undefined) knownPeers.set(settings, (peers = new KnownPeers()));
  return peers;
}

/** `chain`: DER, leaf first. Null when there is none or the leaf cannot be read. */
export function readChain(chain: readonly Uint8Array[]): PeerCertificate | null {
  const certificates: Certificate[] = [];
  for (const der of chain) {
    const certificate = parseCertificate(der);
    // Of authorities the engine has judged what matters; of the leaf everything is needed.
    if (!isProblem(certificate)) certificates.push(certificate);
    else if (certificates.length === 0) return null;
  }
  const leaf = certificates[0];
  if (leaf === undefined) return null;
  const { subject, issuer, serial, uriSans, dnsSans, emailSans, ipSans } = leaf;
  return {
    subject,
    issuer,
    serial,
    uriSans,
    dnsSans,
    emailSans,
    ipSans,
    sha256: leaf.sha256,
    spkiSha256: leaf.spkiSha256,
    notBeforeMs: leaf.notBeforeMs,
    notAfterMs: leaf.notAfterMs,
    chain: certificates,
    pem: () => chainPem([leaf]),
    chainPem: () => chainPem(chain.map((der) => ({ der }))),
  };
}
