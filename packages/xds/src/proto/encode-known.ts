/** Writes what `decode-known.ts` reads: durations and free-form JSON. */
import { wireBytes, wireFixed64, wireVarint } from './reader.ts';
import type { JsonArray, JsonObject, JsonValue } from './values.ts';
import type { WireWriter } from './writer.ts';

export interface SecondsAndNanos {
  readonly seconds: number;
  readonly nanos: number;
}

/** Both parts carry the sign, as Duration wants. Exact to the nanosecond for durations below a hundred days. */
export function splitMs(ms: number): SecondsAndNanos {
  let seconds = Math.trunc(ms / 1000);
  let nanos = Math.round((ms - seconds * 1000) * 1e6);
  if (Math.abs(nanos) >= 1e9) {
    seconds += Math.sign(nanos);
    nanos = 0;
  }
  return { seconds, nanos };
}

export function encodeDuration(writer: WireWriter, ms: number): void {
  const { seconds, nanos } = splitMs(ms);
  if (seconds !== 0) {
    writer.tag(1, wireVarint);
    writer.int64(seconds);
  }
  if (nanos !== 0) {
    writer.tag(2, wireVarint);
    writer.int32(nanos);
  }
}

export function encodeStruct(writer: WireWriter, value: JsonObject): void {
  for (const key of Object.keys(value).sort()) {
    const child = value[key];
    if (child === undefined) continue;
    writer.tag(1, wireBytes);
    const entry = writer.startLength();
    writer.tag(1, wireBytes);
    writer.string(key);
    writer.tag(2, wireBytes);
    const mark = writer.startLength();
    encodeStructValue(writer, child);
    writer.endLength(mark);
    writer.endLength(entry);
  }
}

export function encodeList(writer: WireWriter, list: JsonArray): void {
  for (const value of list) {
    writer.tag(1, wireBytes);
    const mark = writer.startLength();
    encodeStructValue(writer, value);
    writer.endLength(mark);
  }
}

export function encodeStructValue(writer: WireWriter, value: JsonValue): void {
  if (value === null) {
    writer.tag(1, wireVarint);
    writer.uint32(0);
  } else if (typeof value === 'number') {
    writer.tag(2, wireFixed64);
    writer.float64(value);
  } else if (typeof value === 'string') {
    writer.tag(3, wireBytes);
    writer.string(value);
  } else if (typeof value === 'boolean') {
    writer.tag(4, wireVarint);
    writer.uint32(value ? 1 : 0);
  } else {
    const isList = Array.isArray(value);
    writer.tag(isList ? 6 : 5, wireBytes);
    const mark = writer.startLength();
    if (isList) encodeList(writer, value as JsonArray);
    else encodeStruct(writer, value as JsonObject);
    writer.endLength(mark);
  }
}
