/**
 * One text for one value: JSON with sorted keys and no spaces, so that equal content has equal bytes and
 * thus an equal hash, after a restart and on every machine. It follows protobuf's JSON where JSON has no
 * word for a value: 64-bit integers and NaN/±Infinity as strings, bytes as base64.
 */
import { createHash } from 'node:crypto';

/** Deterministic JSON. Keys whose value is undefined or a function are left out, as JSON.stringify does. */
export function canonicalJson(value: unknown): string {
  return encode(value) ?? 'null';
}

/** The first 64 bits of SHA-256, as 16 lower-case hexadecimal digits. Text is hashed as UTF-8. */
export function contentHash(content: Uint8Array | string): string {
  return createHash('sha256').update(content).digest('hex').slice(0, 16);
}

function encode(value: unknown): string | undefined {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value);
    case 'number':
      return Number.isFinite(value) ? JSON.stringify(value) : `"${value}"`;
    case 'boolean':
      return value ? 'true' : 'false';
    case 'bigint':
      return `"${value}"`;
    case 'object':
      return value === null ? 'null' : encodeObject(value);
    default:
      return undefined;
  }
}

function encodeObject(value: object): string | undefined {
  if (Array.isArray(value)) return `[${value.map((item) => encode(item) ?? 'null').join(',')}]`;
  if (value instanceof Uint8Array) return `"${Buffer.from(value).toString('base64')}"`;
  if ('toJSON' in value && typeof value.toJSON === 'function') return encode(value.toJSON());
  const members: string[] = [];
  for (const key of Object.keys(value).sort()) {
    const text = encode((value as Readonly<Record<string, unknown>>)[key]);
    if (text !== undefined) members.push(`${JSON.stringify(key)}:${text}`);
  }
  return `{${members.join(',')}}`;
}
