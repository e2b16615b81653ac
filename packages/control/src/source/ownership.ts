/**
 * Who may write an object (design §6, Names and ownership): it has one owner, a folder file, the API or a
 * registration, and a second definition is refused in words that name both.
 */
import { formatKey, formatOrigin, type Origin, type ResourceKey } from '@sluice/api';
import type { StoredObject, WriteFailure } from './store.ts';

/** All users of the API are one owner: who of them writes is a matter of permission, not of ownership. */
export function sameOwner(a: Origin, b: Origin): boolean {
  if (a.source === 'folder') return b.source === 'folder' && a.file === b.file;
  if (a.source === 'registration') return b.source === 'registration' && a.instance === b.instance;
  return b.source === 'api';
}

export function refuseSecondDefinition(existing: StoredObject, origin: Origin): WriteFailure {
  return {
    code: 'owned-elsewhere',
    owner: existing.origin,
    message: `${formatKey(existing.key)} is defined by ${describeOwner(existing.origin)}; ${describeAttempt(origin, existing.origin)}`,
  };
}

export function refuseMissing(key: ResourceKey): WriteFailure {
  return { code: 'not-found', message: `${formatKey(key)} does not exist` };
}

export function refuseExisting(key: ResourceKey): WriteFailure {
  return { code: 'already-exists', message: `${formatKey(key)} already exists` };
}

export function refuseStale(existing: StoredObject, expectedRevision: number): WriteFailure {
  return {
    code: 'conflict',
    message:
      `${formatKey(existing.key)} has changed: the write is based on resourceVersion ${expectedRevision}, ` +
      `the present one is ${existing.revision}; read it again and repeat the change`,
  };
}

function describeOwner(origin: Origin): string {
  return origin.source === 'api' ? 'the API' : formatOrigin(origin);
}

function describeAttempt(origin: Origin, owner: Origin): string {
  if (origin.source === 'folder') {
    return `the definition at ${formatOrigin(origin)} is ignored; remove one of the two`;
  }
  if (origin.source === 'registration') return `the ${formatOrigin(origin)} needs another name`;
  if (owner.source === 'folder') return 'change it there, or take it over (apply --adopt)';
  return 'it goes when the instance leaves; take it over to keep it (apply --adopt)';
}
