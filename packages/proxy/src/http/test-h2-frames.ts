/**
 * HTTP/2 octet by octet, for what no library would send: frames made by hand, header blocks as literals
 * without Huffman or table, and a reader of the frames that come back.
 */
import type { RawClient, UpstreamPeer, UpstreamScript } from './test-world.ts';

export const DATA = 0;
export const HEADERS = 1;
export const RST_STREAM = 3;
export const SETTINGS = 4;
export const PING = 6;
export const GOAWAY = 7;
export const WINDOW_UPDATE = 8;
export const END_STREAM = 1;
export const ACK = 1;
export const END_HEADERS = 4;

export const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

export type Field = readonly [name: string, value: string];

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Uint8Array | string = '',
): Buffer {
  const body = typeof payload === 'string' ? Buffer.from(payload, 'latin1') : Buffer.from(payload);
  const head = Buffer.alloc(9);
  head.writeUIntBE(body.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, body]);
}

/** Literals without indexing, names and values as they are. */
export function block(fields: readonly Field[]): Buffer {
  const parts: Buffer[] = [];
  for (const [name, value] of fields) parts.push(Buffer.from([0]), literal(name), literal(value));
  return Buffer.concat(parts);
}

function literal(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  const rest: number[] = [127];
  let left = bytes.length - 127;
  while (left >= 128) {
    rest.push((left % 128) + 128);
    left = Math.floor(left / 128);
  }
  rest.push(left);
  return Buffer.concat([Buffer.from(rest), bytes]);
}

export function headers(stream: number, fields: readonly Field[], flags = END_STREAM): Buffer {
  return frame(HEADERS, flags | END_HEADERS, stream, block(fields));
}

export const get: readonly Field[] = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':authority', 'a'],
  [':path', '/'],
];

export const ok: readonly Field[] = [[':status', '200']];

export function reset(stream: number, code: number): Buffer {
  return frame(RST_STREAM, 0, stream, Buffer.from([0, 0, 0, code]));
}

/** What an endpoint does with a frame that has come whole. */
export type FrameScript = (peer: UpstreamPeer, one: Frame, connectionNumber: number) => void;

/** An endpoint that greets as it must, and leaves the rest to `script`. */
export function framed(script: FrameScript): UpstreamScript {
  const seen = new Map<number, number>();
  return (peer, text, connectionNumber) => {
    if (text.length < PREFACE.length) return;
    const from = seen.get(connectionNumber);
    if (from === undefined) for (const flags of [0, ACK]) peer.send(frame(SETTINGS, flags, 0));
    const frames = framesOf(Buffer.from(text, 'latin1').subarray(PREFACE.length));
    seen.set(connectionNumber, frames.length);
    for (const one of frames.slice(from ?? 0)) script(peer, one, connectionNumber);
  };
}

/** Those frames that have come whole so far. */
export function framesOf(octets: Buffer): Frame[] {
  const frames: Frame[] = [];
  for (let at = 0; at + 9 <= octets.length;) {
    const length = octets.readUIntBE(at, 3);
    if (at + 9 + length > octets.length) break;
    frames.push({
      type: octets[at + 3]!,
      flags: octets[at + 4]!,
      stream: octets.readUInt32BE(at + 5) & 0x7fffffff,
      payload: octets.subarray(at + 9, at + 9 + length),
    });
    at += 9 + length;
  }
  return frames;
}

/** Of what a raw client has received. */
export function received(client: RawClient): Frame[] {
  return framesOf(Buffer.from(client.text, 'latin1'));
}

/** Preface and SETTINGS of a raw client, whose acknowledgement goes with them. */
export function begin(client: RawClient): void {
  client.send(PREFACE);
  client.send(frame(SETTINGS, 0, 0));
  client.send(frame(SETTINGS, ACK, 0));
}

export function resetCode({ payload }: Frame): number {
  return payload.readUInt32BE(0);
}
