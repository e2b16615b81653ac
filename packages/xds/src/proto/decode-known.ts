/** Google's well-known types that become plain JavaScript: durations, and free-form JSON. */
import type { JsonValue } from './values.ts';
import { wireBytes, wireFixed64, wireVarint, type WireReader } from './reader.ts';

/** A reader that counts nesting, which free-form JSON can have as much as messages. */
export interface StructReader extends WireReader {
  enter(): void;
  leave(): void;
}

/** Seconds and nanoseconds up to `end`, as milliseconds. */
export function decodeDuration(reader: WireReader, end: number): number {
  let seconds = 0;
  let nanos = 0;
  while (reader.pos < end) {
    const tag = reader.uint32(end);
    if (tag === ((1 << 3) | wireVarint)) seconds = reader.int64(end);
    else if (tag === ((2 << 3) | wireVarint)) nanos = reader.int32(end);
    else reader.skip(tag & 7, end);
  }
  return seconds * 1000 + nanos / 1e6;
}

export function decodeStruct(reader: StructReader, end: number): JsonValue {
  reader.enter();
  // No prototype: a key such as `__proto__` or `constructor` is a key like any other.
  const result = Object.create(null) as Record<string, JsonValue>;
  while (reader.pos < end) {
    const tag = reader.uint32(end);
    if (tag !== ((1 << 3) | wireBytes)) {
      reader.skip(tag & 7, end);
      continue;
    }
    decodeEntry(reader, reader.lengthEnd(end), result);
  }
  reader.leave();
  return result;
}

function decodeEntry(reader: StructReader, end: number, into: Record<string, JsonValue>): void {
  let key = '';
  let value: JsonValue = null;
  while (reader.pos < end) {
    const tag = reader.uint32(end);
    if (tag === ((1 << 3) | wireBytes)) key = reader.string(end);
    else if (tag === ((2 << 3) | wireBytes)) value = decodeStructValue(reader, reader.lengthEnd(end));
    else reader.skip(tag & 7, end);
  }
  into[key] = value;
}

export function decodeList(reader: StructReader, end: number): readonly JsonValue[] {
  reader.enter();
  const list: JsonValue[] = [];
  while (reader.pos < end) {
    const tag = reader.uint32(end);
    if (tag === ((1 << 3) | wireBytes)) list.push(decodeStructValue(reader, reader.lengthEnd(end)));
    else reader.skip(tag & 7, end);
  }
  reader.leave();
  return list;
}

export function decodeStructValue(reader: StructReader, end: number): JsonValue {
  reader.enter();
  let value: JsonValue = null;
  while (reader.pos < end) {
    const tag = reader.uint32(end);
    const number = tag >>> 3;
    const wireType = tag & 7;
    if (number === 1 && wireType === wireVarint) {
      reader.varint(end);
      value = null;
    } else if (number === 2 && wireType === wireFixed64) value = reader.float64(end);
    else if (number === 3 && wireType === wireBytes) value = reader.string(end);
    else if (number === 4 && wireType === wireVarint) value = reader.bool(end);
    else if (number === 5 && wireType === wireBytes) value = decodeStruct(reader, reader.lengthEnd(end));
    else if (number === 6 && wireType === wireBytes) value = decodeList(reader, reader.lengthEnd(end));
    else reader.skip(wireType, end);
  }
  reader.leave();
  return value;
}
