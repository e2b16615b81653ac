/**
 * Join tokens: what a machine that is nobody yet shows to become somebody, once. One line of text,
 * `sluice-join.v1.<base64url of JSON>`, in a 0600 file. It pins the roots of the mesh by their hashes, so that the
 * first contact with the authority is already verified.
 */
import { createHash, randomBytes } from 'node:crypto';
import { problem, type Problem } from './problem.ts';

export interface JoinToken {
  /** What the token is listed and revoked by; no secret. */
  readonly id: string;
  readonly secret: string;
  /** SHA-256 of each root's DER, lower-case hex; one or more. */
  readonly ca: readonly string[];
  /** `host:port` of the authority, where the token says. */
  readonly address?: string;
}

const prefix = 'sluice-join.v1.';
const idBytes = 8;
const secretBytes = 32;
const maxTokenBytes = 4096;
const maxPins = 16;
const idForm = /^[0-9a-f]{16}$/;
const secretForm = /^[A-Za-z0-9_-]{43}$/;
const pinForm = /^[0-9a-f]{64}$/;
const addressForm = /^[^\s/]{1,255}:\d{1,5}$/;

export function newJoinToken(ca: readonly string[], address?: string): JoinToken {
  const id = randomBytes(idBytes).toString('hex');
  const secret = randomBytes(secretBytes).toString('base64url');
  return address === undefined ? { id, secret, ca } : { id, secret, ca, address };
}

export function formatJoinToken({ id, secret, ca, address }: JoinToken): string {
  const fields = address === undefined ? { id, secret, ca } : { id, secret, ca, address };
  return prefix + Buffer.from(JSON.stringify(fields)).toString('base64url');
}

export function isJoinToken(text: string): boolean {
  return text.startsWith(prefix);
}

/** A line of a file, whitespace around it forgiven. */
export function parseJoinToken(text: string): JoinToken | Problem {
  const line = text.trim();
  if (line.length > maxTokenBytes)
    return problem('too-large', `a join token has at most ${maxTokenBytes} bytes`);
  if (!isJoinToken(line)) return problem('malformed', `a join token begins with ${prefix}`);
  const fields = readFields(line.slice(prefix.length));
  if (fields === null) return problem('malformed', 'a join token whose content is not as it was made');
  const { id, secret, ca, address } = fields;
  const isWhole =
    typeof id === 'string' &&
    idForm.test(id) &&
    typeof secret === 'string' &&
    secretForm.test(secret) &&
    Array.isArray(ca) &&
    ca.length > 0 &&
    ca.length <= maxPins &&
    ca.every((pin) => typeof pin === 'string' && pinForm.test(pin));
  if (!isWhole) return problem('malformed', 'a join token whose content is not as it was made');
  if (address === undefined) return { id, secret, ca };
  if (typeof address !== 'string' || !addressForm.test(address))
    return problem('malformed', 'a join token whose address is not HOST:PORT');
  return { id, secret, ca, address };
}

/** What an authority keeps of a secret: it can compare, and a reader of its files learns nothing. */
export function hashSecret(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

function readFields(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}
