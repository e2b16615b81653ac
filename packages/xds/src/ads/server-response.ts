/**
 * Responses put together from encoded resources, which are copied as they are: building one costs a
 * memory copy, whatever the resources contain.
 */
import { wireBytes } from '../proto/reader.ts';
import { WireWriter, varintSize } from '../proto/writer.ts';
import type { AdsResource, AdsResources } from './snapshot.ts';

export interface ResponseHead {
  readonly typeUrl: string;
  readonly version: string;
  readonly nonce: string;
}

/** DiscoveryResponse: version_info 1, resources 2, type_url 4, nonce 5. */
export function encodeSotwResponse(head: ResponseHead, resources: AdsResources): Uint8Array {
  const writer = new WireWriter(sizeOf(resources));
  writeText(writer, 1, head.version);
  for (const { bytes } of resources.values()) {
    writer.tag(2, wireBytes);
    writer.bytes(bytes);
  }
  writeText(writer, 4, head.typeUrl);
  writeText(writer, 5, head.nonce);
  return writer.finish();
}

/** DeltaDiscoveryResponse: system_version_info 1, resources 2, type_url 4, nonce 5, removed_resources 6. */
export function encodeDeltaResponse(
  head: ResponseHead,
  resources: AdsResources,
  removed: Iterable<string>,
): Uint8Array {
  const writer = new WireWriter(sizeOf(resources));
  writeText(writer, 1, head.version);
  for (const [name, resource] of resources) writeResource(writer, name, resource);
  writeText(writer, 4, head.typeUrl);
  writeText(writer, 5, head.nonce);
  for (const name of removed) writeText(writer, 6, name);
  return writer.finish();
}

/** Resource: version 1, resource 2, name 3, aliases 4. */
function writeResource(writer: WireWriter, name: string, resource: AdsResource): void {
  writer.tag(2, wireBytes);
  const mark = writer.startLength();
  writeText(writer, 1, resource.version);
  writer.tag(2, wireBytes);
  writer.bytes(resource.bytes);
  writeText(writer, 3, name);
  for (const alias of resource.aliases ?? []) writeText(writer, 4, alias);
  writer.endLength(mark);
}

function writeText(writer: WireWriter, number: number, text: string): void {
  if (text === '') return;
  writer.tag(number, wireBytes);
  writer.string(text);
}

/** Enough for most responses, so that the buffer need not grow while it is filled. */
function sizeOf(resources: AdsResources): number {
  let total = perResponseBytes;
  for (const [name, { bytes }] of resources)
    total += bytes.length + varintSize(bytes.length) + name.length + perResourceBytes;
  return total;
}

const perResponseBytes = 512;
const perResourceBytes = 64;
