/**
 * The name of an encoded resource, without decoding it.
 *
 * A state-of-the-world response does not say its resources' names, but every xDS resource has its name as
 * field 1. Reading only that lets a client skip what has not changed.
 */
import { XdsDecodeError } from '../proto/error.ts';
import { WireReader, wireBytes } from '../proto/reader.ts';

export interface OpenedAny {
  readonly typeUrl: string;
  /** The message inside, a view. */
  readonly value: Uint8Array;
}

/** Throws XdsDecodeError. */
export function openAny(bytes: Uint8Array): OpenedAny {
  const reader = new WireReader(bytes);
  let typeUrl = '';
  let value = bytes.subarray(0, 0);
  while (reader.pos < bytes.length) {
    const tag = reader.uint32(bytes.length);
    if (tag === ((1 << 3) | wireBytes)) typeUrl = reader.string(bytes.length);
    else if (tag === ((2 << 3) | wireBytes)) value = reader.view(bytes.length);
    else reader.skip(tag & 7, bytes.length);
  }
  return { typeUrl, value };
}

/** Throws XdsDecodeError. */
export function resourceName(message: Uint8Array): string {
  const reader = new WireReader(message);
  let name = '';
  while (reader.pos < message.length) {
    const tag = reader.uint32(message.length);
    if (tag === ((1 << 3) | wireBytes)) name = reader.string(message.length);
    else reader.skip(tag & 7, message.length);
  }
  if (name === '') throw new XdsDecodeError('malformed', 'name', 'a resource without a name');
  return name;
}
