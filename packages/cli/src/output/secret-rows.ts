/**
 * The certificates of a proxy in istioctl's columns, from the secrets of its `/config_dump`: one row for a
 * certificate with its chain, one for each root of a trust bundle. Keys are not in the dump, and not read here.
 */
import { X509Certificate } from 'node:crypto';
import type { ConfigRow, ConfigRows } from './proxy-rows.ts';

type Fields = Readonly<Record<string, unknown>>;

const states = {
  static_secrets: 'ACTIVE',
  dynamic_active_secrets: 'ACTIVE',
  dynamic_warming_secrets: 'WARMING',
} as const;

export function secretRows(dump: unknown, nowMs: number): ConfigRows {
  const parts = list(fields(dump)['configs']).filter((part) =>
    String(part['@type']).endsWith('.SecretsConfigDump'),
  );
  const rows = parts.flatMap((part) =>
    Object.entries(states).flatMap(([name, state]) =>
      list(part[name]).flatMap((entry) => rowsOf(entry, state, nowMs)),
    ),
  );
  return {
    head: ['RESOURCE NAME', 'TYPE', 'STATUS', 'VALID CERT', 'SERIAL NUMBER', 'NOT AFTER', 'NOT BEFORE'],
    rows: rows.sort((a, b) => ((a.cells[0] ?? '') < (b.cells[0] ?? '') ? -1 : 1)),
  };
}

function rowsOf(entry: Fields, state: string, nowMs: number): ConfigRow[] {
  const secret = fields(entry['secret']);
  const name = String(entry['name'] ?? secret['name'] ?? '');
  const status = statusOf(entry, state);
  const chain = pemOf(fields(secret['tls_certificate'])['certificate_chain']);
  const roots = pemOf(fields(secret['validation_context'])['trusted_ca']);
  const shown = [
    ...certificatesOf(chain)
      .slice(0, 1)
      .map((certificate) => ['Cert Chain', certificate] as const),
    ...certificatesOf(roots).map((certificate) => ['CA', certificate] as const),
  ];
  if (shown.length === 0) return [{ cells: [name, '', status, 'false', '', '', ''], source: entry }];
  return shown.map(([type, certificate]) => ({
    cells: [
      name,
      type,
      status,
      String(Date.parse(certificate.validFrom) <= nowMs && nowMs < Date.parse(certificate.validTo)),
      certificate.serialNumber.toLowerCase(),
      timestamp(certificate.validTo),
      timestamp(certificate.validFrom),
    ],
    source: entry,
  }));
}

function statusOf(entry: Fields, state: string): string {
  // Named by a listener or cluster; the control plane has said that there is none.
  if (entry['client_status'] === 'DOES_NOT_EXIST') return 'DOES NOT EXIST';
  return entry['error_state'] === undefined ? state : `${state}, last update refused`;
}

/** Inline, as text or in base64; Envoy's dumps have the latter. */
function pemOf(source: unknown): string {
  const { inline_string: text, inline_bytes: bytes } = fields(source);
  if (typeof text === 'string') return text;
  return typeof bytes === 'string' ? Buffer.from(bytes, 'base64').toString('latin1') : '';
}

/** Those that can be read: a proxy would not have taken the others. */
function certificatesOf(pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.flatMap((block) => {
    try {
      return [new X509Certificate(block)];
    } catch {
      return [];
    }
  });
}

function timestamp(text: string): string {
  return new Date(Date.parse(text)).toISOString().replace('.000Z', 'Z');
}

function fields(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

function list(value: unknown): Fields[] {
  return Array.isArray(value) ? value.map(fields) : [];
}
