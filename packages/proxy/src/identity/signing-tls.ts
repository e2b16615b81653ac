/**
 * TLS towards the authority. The first contact knows it by the hash of its root (from the join token) or by
 * root certificates in a file; afterwards the trust bundle decides. In all cases the certificate must bear
 * the name or address that was dialled: any workload of the mesh has a chain to the same root.
 */
import { BlockList, isIP } from 'node:net';
import { certificatePem, isProblem, parseChain, verifyChain } from '@sluice/identity';
import type {
  HandshakeOutcome,
  TlsClientContext,
  TlsCredential,
  TlsFailure,
  TlsSettings,
} from '../io/tls-context.ts';
import type { PeerCertificate } from '../io/tls-facts.ts';
import type { Credential } from './credential.ts';

export type AuthorityTrust =
  | { readonly kind: 'roots'; readonly pem: string }
  /** SHA-256 (hex) of root certificates; the authority must send its chain up to one of them. */
  | { readonly kind: 'pins'; readonly sha256: readonly string[] };

export interface SigningTlsOptions {
  /** Host of `--ca-address`, without brackets. */
  readonly host: string;
  readonly trust: AuthorityTrust;
  /** Shown to the authority on renewal; null = none. */
  readonly credential: Credential | null;
  readonly wallMs: () => number;
  onFailure(failure: TlsFailure): void;
}

const tls12 = 0x0303;
const tls13 = 0x0304;

export class SigningTls implements TlsClientContext {
  readonly #options: SigningTlsOptions;
  readonly #settings: TlsSettings;
  readonly serverName: string;
  readonly maxSessions = 0;
  /** The root that a pin led to, for the first trust bundle; empty before. */
  pinnedRootPem = '';

  constructor(options: SigningTlsOptions) {
    const { host, trust, credential } = options;
    this.#options = options;
    this.serverName = isIP(host) === 0 ? host : '';
    this.#settings = {
      role: 'client',
      credential: credential === null ? null : tlsCredentialOf(credential),
      trustedPem: trust.kind === 'roots' ? trust.pem : null,
      asksForCertificate: false,
      alpn: ['h2'],
      minVersion: tls12,
      maxVersion: tls13,
      ciphers: '',
      curves: '',
      hasSessions: false,
      sessionLifetimeMs: 0,
    };
  }

  settings(): TlsSettings {
    return this.#settings;
  }

  judge({ chainError, peer }: HandshakeOutcome): TlsFailure | null {
    const { host, trust } = this.#options;
    if (peer === null) return { kind: 'no-certificate', reason: 'the authority showed no certificate' };
    const untrusted =
      trust.kind === 'pins' ? this.#judgePinned(peer, trust.sha256) : describeChainError(chainError);
    if (untrusted !== null) return { kind: 'untrusted', reason: untrusted };
    if (bearsName(peer, host)) return null;
    return { kind: 'san', reason: `the authority's certificate does not bear the name ${host}` };
  }

  onFailure(failure: TlsFailure): void {
    this.#options.onFailure(failure);
  }

  /** The agent's own log and metrics tell of what came of it. */
  onHandshake(): void {}
  onSecured(): void {}

  #judgePinned(peer: PeerCertificate, pins: readonly string[]): string | null {
    const chain = parseChain(peer.chainPem());
    if (isProblem(chain)) return `the authority's chain cannot be read: ${chain.message}`;
    const root = chain.find((certificate) => pins.includes(certificate.sha256));
    if (root === undefined) return "the authority's chain does not lead to the root that the token pins";
    const verified = verifyChain(chain, [root], { nowMs: this.#options.wallMs(), usage: 'server' });
    if (isProblem(verified)) return `the authority's certificate is not accepted: ${verified.message}`;
    this.pinnedRootPem = certificatePem(root);
    return null;
  }
}

/** For the log: an engine's code says little, and wrong clocks are the usual reason for two of them. */
function describeChainError(code: string | null): string | null {
  if (code === null) return null;
  const isOfTime = code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID';
  const hint = isOfTime ? '; compare the clocks of both machines' : '';
  return `the authority's certificate is not accepted: ${code}${hint}`;
}

/** RFC 9525: an address only by an address, a name exactly or by one leftmost wildcard label. */
export function bearsName(peer: Pick<PeerCertificate, 'dnsSans' | 'ipSans'>, host: string): boolean {
  if (isIP(host) !== 0) return peer.ipSans.some((address) => sameAddress(address, host));
  const name = host.toLowerCase();
  const dot = name.indexOf('.');
  const wildcard = dot < 0 ? '' : `*${name.slice(dot)}`;
  return peer.dnsSans.some((san) => san.toLowerCase() === name || san.toLowerCase() === wildcard);
}

function sameAddress(left: string, right: string): boolean {
  const subnet = new BlockList();
  const family = isIP(left) === 6 ? 'ipv6' : 'ipv4';
  if (isIP(left) === 0) return false;
  subnet.addAddress(left, family);
  return subnet.check(right, isIP(right) === 6 ? 'ipv6' : 'ipv4');
}

export function tlsCredentialOf(credential: Credential): TlsCredential {
  const { leaf } = credential;
  return {
    chainPem: credential.shownPem,
    keyPem: credential.keyPem,
    generation: leaf.serial,
    facts: {
      uriSans: leaf.uriSans,
      dnsSans: leaf.dnsSans,
      subject: leaf.subject,
      serial: leaf.serial,
      notAfterMs: leaf.notAfterMs,
    },
  };
}
