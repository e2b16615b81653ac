/**
 * A response of either variant, opened up: which resources are new or changed, and which are gone.
 *
 * Bytes equal to those held are left out, so a server that sends everything on each change costs its
 * clients only the comparison.
 */
import { DeltaDiscoveryResponseTable, DiscoveryResponseTable } from '../gen/tables.ts';
import { decodeMessage } from '../proto/decode.ts';
import { XdsDecodeError } from '../proto/error.ts';
import type { ClientType } from './client-type.ts';
import { openAny, resourceName } from './resource-name.ts';
import { isFullState } from './types.ts';
import type { AdsUpdate, ReceivedResource, RejectedResource } from './update.ts';
import { contentVersion } from './version.ts';

type TypeLookup = (typeUrl: string) => ClientType | undefined;

export function readSotwResponse(bytes: Uint8Array, typeOf: TypeLookup): AdsUpdate {
  const response = decodeMessage(DiscoveryResponseTable, bytes);
  const type = typeOf(response.typeUrl);
  const resources: ReceivedResource[] = [];
  const problems: RejectedResource[] = [];
  const present = new Set<string>();
  for (const [index, any] of response.resources.entries()) {
    const opened = attempt(`resources[${index}]`, problems, () => openSotw(response.typeUrl, any));
    if (opened === undefined) continue;
    if (present.has(opened.name)) problems.push({ name: opened.name, problem: 'twice in one response' });
    present.add(opened.name);
    if (type?.wants(opened.name, []) === false) continue;
    if (type?.heldVersion(opened.name) !== opened.version) resources.push(opened);
  }
  const removed = isFullState(response.typeUrl) && problems.length === 0 ? absent(type, present) : [];
  return {
    typeUrl: response.typeUrl,
    version: response.versionInfo,
    nonce: response.nonce,
    resources,
    removed,
    problems,
  };
}

export function readDeltaResponse(bytes: Uint8Array, typeOf: TypeLookup): AdsUpdate {
  const response = decodeMessage(DeltaDiscoveryResponseTable, bytes);
  const type = typeOf(response.typeUrl);
  const resources: ReceivedResource[] = [];
  const removed = [...response.removedResources];
  const problems: RejectedResource[] = [];
  for (const [index, entry] of response.resources.entries()) {
    const name = entry.name === '' ? (entry.resourceName?.name ?? '') : entry.name;
    if (entry.resource === undefined) {
      removed.push(name, ...entry.aliases); // A name without a resource: it was asked for and does not exist.
      continue;
    }
    const any = entry.resource;
    const message = attempt(name || `resources[${index}]`, problems, () => openOfType(response.typeUrl, any));
    if (message === undefined) continue;
    // A server that gives no versions has to be taken at its word each time.
    const isHeld = entry.version !== '' && type?.heldVersion(name) === entry.version;
    if (type?.wants(name, entry.aliases) === false) continue;
    if (isHeld && entry.aliases.length === 0) continue;
    resources.push({ name, aliases: entry.aliases, version: entry.version, bytes: message });
  }
  return {
    typeUrl: response.typeUrl,
    version: response.systemVersionInfo,
    nonce: response.nonce,
    resources,
    removed,
    problems,
  };
}

function openSotw(typeUrl: string, any: Uint8Array): ReceivedResource {
  const message = openOfType(typeUrl, any);
  return { name: resourceName(message), aliases: [], version: contentVersion(message), bytes: message };
}

function openOfType(typeUrl: string, any: Uint8Array): Uint8Array {
  const opened = openAny(any);
  if (opened.typeUrl !== typeUrl) {
    throw new XdsDecodeError('wrong-type', '', `a ${opened.typeUrl} in a response of ${typeUrl}`);
  }
  return opened.value;
}

function absent(type: ClientType | undefined, present: ReadonlySet<string>): readonly string[] {
  const known = new Set([...(type?.heldNames() ?? []), ...(type?.missing() ?? [])]);
  return [...known].filter((name) => !present.has(name));
}

function attempt<T>(name: string, problems: RejectedResource[], open: () => T): T | undefined {
  try {
    return open();
  } catch (error) {
    if (!(error instanceof XdsDecodeError)) throw error;
    problems.push({ name, problem: error.message });
    return undefined;
  }
}
