/**
 * Takes secrets out of configuration before it is shown: keys, passwords, tokens, and header values
 * that carry credentials. By name, at any depth, so that a new message type cannot leak by omission.
 */
import type { JsonObject, JsonValue } from '@sluice/xds';

export const REDACTED = '[redacted]';

/** Fields whose whole content is secret; a file's name in them is not. */
const SECRET_FIELDS: ReadonlySet<string> = new Set([
  'private_key',
  'private_key_provider',
  'password',
  'session_ticket_keys',
  'generic_secret',
  'access_token',
  'token',
  'json_token',
  'hmac_secret',
  'token_secret',
  'shared_secret',
]);

/** Names of headers, gRPC metadata and environment-like pairs. */
const SECRET_NAME = /authorization|cookie|token|secret|passw|api[-_]?key|credential/i;

/** Of a DataSource: where the secret lies, not the secret. */
const LOCATIONS: ReadonlySet<string> = new Set([
  'filename',
  'environment_variable',
  'watched_directory',
  '@type',
]);

export function redact(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return (value as readonly JsonValue[]).map(redact);
  if (typeof value !== 'object' || value === null) return value;
  const object = value as JsonObject;
  const isSecretPair = typeof object['key'] === 'string' && SECRET_NAME.test(object['key']);
  return Object.fromEntries(
    Object.entries(object).map(([name, member]) => {
      if (SECRET_FIELDS.has(name)) return [name, hideAll(member)];
      if (isSecretPair && (name === 'value' || name === 'raw_value')) return [name, REDACTED];
      return [name, redact(member)];
    }),
  );
}

function hideAll(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return (value as readonly JsonValue[]).map(hideAll);
  if (typeof value !== 'object' || value === null) return REDACTED;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [name, LOCATIONS.has(name) ? member : hideAll(member)]),
  );
}
