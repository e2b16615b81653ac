/** For tests and fuzzing: frames as octets, malformed ones too. Fields are plain literals that enter no table. */
import { latin1Bytes } from '../headers/bytes.ts';
import { CLIENT_PREFACE, FrameFlag, FrameType, writeFrameHeader, writeUint32 } from './frame.ts';
import { writeInteger } from './hpack/primitives.ts';

export type Fields = readonly (readonly [name: string, value: string])[];

export const preface: Uint8Array = latin1Bytes(CLIENT_PREFACE);

export function frame(type: number, flags: number, streamId: number, payload: Uint8Array): Uint8Array {
  const out = new Uint8Array(9 + payload.length);
  writeFrameHeader(out, 0, payload.length, type, flags, streamId);
  out.set(payload, 9);
  return out;
}

export function settings(...values: readonly (readonly [id: number, value: number])[]): Uint8Array {
  const payload = new Uint8Array(values.length * 6);
  values.forEach(([id, value], i) => {
    payload[i * 6 + 1] = id;
    writeUint32(payload, i * 6 + 2, value);
  });
  return frame(FrameType.SETTINGS, FrameFlag.NONE, 0, payload);
}

export const settingsAck: Uint8Array = frame(FrameType.SETTINGS, FrameFlag.ACK, 0, new Uint8Array(0));

/** A header block of plain literals, names as they are. */
export function block(fields: Fields): Uint8Array {
  let bound = 0;
  for (const [name, value] of fields) bound += 16 + name.length + value.length;
  const out = new Uint8Array(bound);
  let at = 0;
  for (const [name, value] of fields) {
    out[at] = 0;
    at = writeInteger(out, at + 1, 0, 0x7f, name.length);
    out.set(latin1Bytes(name), at);
    at = writeInteger(out, at + name.length, 0, 0x7f, value.length);
    out.set(latin1Bytes(value), at);
    at += value.length;
  }
  return out.slice(0, at);
}

export function headers(streamId: number, fields: Fields, flags: number = END_BOTH): Uint8Array {
  return frame(FrameType.HEADERS, flags, streamId, block(fields));
}

export function continuation(streamId: number, octets: Uint8Array, isLast: boolean): Uint8Array {
  const flags = isLast ? FrameFlag.END_HEADERS : FrameFlag.NONE;
  return frame(FrameType.CONTINUATION, flags, streamId, octets);
}

export function data(streamId: number, content: string | number, isEnd = false): Uint8Array {
  const octets = typeof content === 'string' ? latin1Bytes(content) : new Uint8Array(content);
  return frame(FrameType.DATA, isEnd ? FrameFlag.END_STREAM : FrameFlag.NONE, streamId, octets);
}

export function resetStream(streamId: number, code: number): Uint8Array {
  return frame(FrameType.RST_STREAM, 0, streamId, word(code));
}

export function windowUpdate(streamId: number, increment: number): Uint8Array {
  return frame(FrameType.WINDOW_UPDATE, 0, streamId, word(increment));
}

export function ping(payload = 0, flags = 0): Uint8Array {
  return frame(FrameType.PING, flags, 0, join(word(0), word(payload)));
}

export function goAway(lastStreamId: number, code: number): Uint8Array {
  return frame(FrameType.GOAWAY, 0, 0, join(word(lastStreamId), word(code)));
}

export function priority(streamId: number, dependsOn: number): Uint8Array {
  return frame(FrameType.PRIORITY, 0, streamId, join(word(dependsOn), Uint8Array.of(15)));
}

export function word(value: number): Uint8Array {
  const out = new Uint8Array(4);
  writeUint32(out, 0, value);
  return out;
}

export function join(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

export const END_HEADERS: number = FrameFlag.END_HEADERS;
export const END_BOTH: number = FrameFlag.END_HEADERS | FrameFlag.END_STREAM;

/** The least that a request has. */
export const get: Fields = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':path', '/'],
  [':authority', 'a'],
];
export const post: Fields = [[':method', 'POST'], ...get.slice(1)];
export const ok: Fields = [[':status', '200']];
