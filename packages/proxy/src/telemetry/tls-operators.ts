/** Operators about TLS: `%DOWNSTREAM_TLS_VERSION%`, `%UPSTREAM_PEER_SUBJECT%` and their kin, by Envoy's names. */
import type { TlsFacts } from '../io/tls-facts.ts';
import type { RequestRecord } from './record.ts';

type Reader = (tls: TlsFacts) => string | null;

const joined = (names: readonly string[] | undefined): string | null =>
  names === undefined || names.length === 0 ? null : names.join(',');
const time = (ms: number | undefined): string | null =>
  ms === undefined ? null : new Date(ms).toISOString();

const readers = {
  TLS_VERSION: (tls) => tls.protocol,
  TLS_CIPHER: (tls) => tls.cipher,
  PEER_URI_SAN: (tls) => joined(tls.peer?.uriSans),
  PEER_DNS_SAN: (tls) => joined(tls.peer?.dnsSans),
  PEER_IP_SAN: (tls) => joined(tls.peer?.ipSans),
  PEER_EMAIL_SAN: (tls) => joined(tls.peer?.emailSans),
  PEER_SUBJECT: (tls) => tls.peer?.subject || null,
  PEER_ISSUER: (tls) => tls.peer?.issuer || null,
  PEER_SERIAL: (tls) => tls.peer?.serial ?? null,
  PEER_FINGERPRINT_256: (tls) => tls.peer?.sha256 ?? null,
  PEER_CERT: (tls) => (tls.peer === null ? null : encodeURIComponent(tls.peer.pem())),
  PEER_CERT_V_START: (tls) => time(tls.peer?.notBeforeMs),
  PEER_CERT_V_END: (tls) => time(tls.peer?.notAfterMs),
  LOCAL_URI_SAN: (tls) => joined(tls.local?.uriSans),
  LOCAL_DNS_SAN: (tls) => joined(tls.local?.dnsSans),
  LOCAL_SUBJECT: (tls) => tls.local?.subject || null,
} as const satisfies Record<string, Reader>;

export type TlsOperatorName = `${'DOWNSTREAM' | 'UPSTREAM'}_${keyof typeof readers}`;

export const tlsOperatorNames = (['DOWNSTREAM', 'UPSTREAM'] as const).flatMap((side) =>
  Object.keys(readers).map((name) => `${side}_${name}` as TlsOperatorName),
);

/** Undefined: not an operator of this table. */
export function tlsValue(record: RequestRecord, name: string): string | null | undefined {
  const cut = name.indexOf('_');
  const reader = (readers as Readonly<Record<string, Reader | undefined>>)[name.slice(cut + 1)];
  if (reader === undefined) return undefined;
  const tls = name.slice(0, cut) === 'UPSTREAM' ? record.upstreamTls : record.connection.tls;
  return tls === null ? null : reader(tls);
}
