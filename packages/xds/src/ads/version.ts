/**
 * Versions by content: the same configuration has the same version after a restart and on every instance,
 * so equal content is never sent twice.
 */
import { createHash } from 'node:crypto';

/** 96 bits: short in logs, and a collision between two versions of one resource is out of reach. */
const versionChars = 16;

export function contentVersion(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('base64url').slice(0, versionChars);
}

interface Versioned {
  readonly version: string;
}

/** Version of a set of resources, whatever their order. */
export function setVersion(resources: ReadonlyMap<string, Versioned>): string {
  const hash = createHash('sha256');
  for (const name of [...resources.keys()].sort())
    hash.update(`${name}\0${resources.get(name)?.version ?? ''}\n`);
  return hash.digest('base64url').slice(0, versionChars);
}
