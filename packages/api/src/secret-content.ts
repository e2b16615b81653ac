/**
 * What a Secret holds, read as Istio reads it: certificate chain, key, authorities and revocation lists under the
 * names of Kubernetes' TLS secrets, or under the shorter ones of generic secrets.
 */
import type { Secret } from './resource-types.ts';

/** PEM texts; null where the Secret has none. */
export interface Credential {
  readonly certificateChain: string | null;
  readonly privateKey: string | null;
  /** Authorities that peers are verified by. */
  readonly ca: string | null;
  readonly crl: string | null;
}

/** Names of the parts, in order of preference. */
export const secretNames = [
  { chain: 'cert', key: 'key', authorities: 'cacert', crl: 'crl' },
  { chain: 'tls.crt', key: 'tls.key', authorities: 'ca.crt', crl: 'ca.crl' },
] as const;

/** Every member as text, `stringData` before `data`. */
export function secretContent(secret: Pick<Secret, 'data' | 'stringData'>): ReadonlyMap<string, string> {
  const decoded = Object.entries(secret.data ?? {}).map(
    ([name, text]) => [name, Buffer.from(text, 'base64').toString('utf8')] as const,
  );
  return new Map([...decoded, ...Object.entries(secret.stringData ?? {})]);
}

export function readCredential(secret: Pick<Secret, 'data' | 'stringData'>): Credential {
  const content = secretContent(secret);
  const first = (part: keyof (typeof secretNames)[number]): string | null =>
    secretNames.map((names) => content.get(names[part])).find((text) => text !== undefined && text !== '') ??
    null;
  return {
    certificateChain: first('chain'),
    privateKey: first('key'),
    ca: first('authorities'),
    crl: first('crl'),
  };
}

/** As Kubernetes keeps it: text that was written as such becomes base64 and is never given back as text. */
export function foldStringData(secret: Secret): Secret {
  const { stringData, ...rest } = secret;
  if (stringData === undefined) return secret;
  const encoded = Object.entries(stringData).map(
    ([name, text]) => [name, Buffer.from(text).toString('base64')] as const,
  );
  return { ...rest, data: { ...secret.data, ...Object.fromEntries(encoded) } } as Secret;
}
