/** `/certs` in Envoy's shape: the certificates of every TLS context, and when they end. */
import type { X509Certificate } from 'node:crypto';
import type { JsonObject } from '@sluice/xds';
import { jsonReply, type AdminReply } from './exchange.ts';

/** One TLS context's certificates; contexts that use the same ones are told of once. */
export interface CertificateFacts {
  readonly authorities: readonly ShownCertificate[];
  readonly chain: readonly ShownCertificate[];
}

export interface ShownCertificate {
  readonly certificate: X509Certificate;
  /** A file's name, or where it came from in brackets. */
  readonly path: string;
}

const dayMs = 86_400_000;

export function certsPage(contexts: readonly CertificateFacts[], nowWallMs: number): AdminReply {
  const certificates = contexts.map(({ authorities, chain }) => ({
    ca_cert: authorities.map((one) => details(one, nowWallMs)),
    // Envoy calls the leaves of all certificates so.
    cert_chain: chain.filter(({ certificate }) => !certificate.ca).map((one) => details(one, nowWallMs)),
  }));
  return jsonReply({ certificates });
}

/** Whole days until the first of all certificates ends; null without any. */
export function daysUntilFirstExpiry(
  contexts: readonly CertificateFacts[],
  nowWallMs: number,
): number | null {
  let least: number | null = null;
  for (const { authorities, chain } of contexts)
    for (const { certificate } of [...authorities, ...chain]) {
      const days = daysLeft(certificate, nowWallMs);
      if (least === null || days < least) least = days;
    }
  return least;
}

function details({ certificate, path }: ShownCertificate, nowWallMs: number): JsonObject {
  return {
    path,
    serial_number: certificate.serialNumber.toLowerCase(),
    subject_alt_names: altNames(certificate.subjectAltName ?? ''),
    // 64-bit integers are strings in Protobuf's JSON.
    days_until_expiration: `${daysLeft(certificate, nowWallMs)}`,
    valid_from: timestamp(certificate.validFrom),
    expiration_time: timestamp(certificate.validTo),
  };
}

/** In Envoy's order. */
const altNameKeys = { DNS: 'dns', URI: 'uri', 'IP Address': 'ip_address' } as const;

/** From Node's one line of names (`DNS:a, URI:b`), which quotes what holds a comma. */
function altNames(text: string): JsonObject[] {
  const pairs = [...text.matchAll(/(?:^|, )([A-Za-z ]+):("(?:\\.|[^"\\])*"|[^,]*)/g)];
  return Object.entries(altNameKeys).flatMap(([wanted, key]) =>
    pairs.flatMap(([, kind = '', value = '']) =>
      kind === wanted ? [{ [key]: value.startsWith('"') ? (JSON.parse(value) as string) : value }] : [],
    ),
  );
}

function daysLeft(certificate: X509Certificate, nowWallMs: number): number {
  return Math.max(0, Math.floor((Date.parse(certificate.validTo) - nowWallMs) / dayMs));
}

function timestamp(text: string): string {
  return new Date(Date.parse(text)).toISOString().replace('.000Z', 'Z');
}
