/** A certificate with its key, as a handshake needs it and as a server chooses among several. */
import { isProblem, parseChain } from '@sluice/identity';
import { contentHash } from '@sluice/runtime';
import type { TlsCertificate } from '@sluice/xds';
import type { ClientHello, TlsCredential } from '../io/tls-context.ts';
import { dnsMatches } from './san-rules.ts';
import { textOf } from './trust.ts';

export interface Credential extends TlsCredential {
  /** Host names it is for, wildcards included; the common name where there is no DNS name. */
  readonly names: readonly string[];
  readonly isEcdsa: boolean;
}

/** Every DataSource is inline. A text: what is wrong, without a word of what stands there. */
export function loadCredential(message: TlsCertificate): Credential | string {
  const chainPem = textOf(message.certificateChain);
  const keyPem = textOf(message.privateKey);
  if (keyPem === '') return 'the private key is missing';
  const chain = parseChain(chainPem);
  if (isProblem(chain)) return `certificate chain: ${chain.message}`;
  const leaf = chain[0]!;
  const { uriSans, dnsSans, subject, serial, notAfterMs, subjectCommonName } = leaf;
  return {
    chainPem,
    keyPem,
    // The key is part of it: the same request may be signed anew for another one.
    generation: contentHash(`${chainPem}${leaf.spkiSha256}`),
    facts: { uriSans, dnsSans, subject, serial, notAfterMs },
    names: dnsSans.length > 0 || subjectCommonName === '' ? dnsSans : [subjectCommonName],
    isEcdsa: leaf.publicKey.asymmetricKeyType === 'ec',
  };
}

/**
 * Envoy's choice. A name that no certificate fits gets the first one, unless `isScanning`; among those that
 * fit ECDSA goes before RSA where the client can. Not empty.
 */
export function chooseCredential(
  credentials: readonly Credential[],
  hello: ClientHello,
  isScanning = false,
): Credential {
  const first = credentials[0]!;
  if (credentials.length === 1) return first;
  const { serverName, acceptsEcdsa } = hello;
  const fitting = serverName === '' ? credentials : named(credentials, serverName);
  if (fitting.length === 0 && !isScanning) return first;
  const candidates = fitting.length === 0 ? credentials : fitting;
  const ecdsa = acceptsEcdsa ? candidates.find(({ isEcdsa }) => isEcdsa) : undefined;
  return ecdsa ?? candidates.find(({ isEcdsa }) => !isEcdsa) ?? candidates[0]!;
}

/** Those with the exact name; where there are none, those with a wildcard for it. */
function named(credentials: readonly Credential[], serverName: string): readonly Credential[] {
  const exact = credentials.filter(({ names }) => names.some((name) => name.toLowerCase() === serverName));
  if (exact.length > 0) return exact;
  return credentials.filter(({ names }) => names.some((name) => dnsMatches(name, serverName)));
}
