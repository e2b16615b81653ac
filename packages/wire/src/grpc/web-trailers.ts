/**
 * The trailers frame that ends a gRPC-Web body (PROTOCOL-WEB, "Message framing"): flag 0x80, a length, and
 * the fields as `name: value` lines, where HTTP/1 in a browser cannot show trailers.
 */
import type { HeaderList } from '../headers/header-list.ts';
import { GRPC_PREFIX_BYTES } from './message-framing.ts';

export const GRPC_WEB_TRAILERS_FLAG = 0x80;

const COLON = 0x3a;
const CR = 0x0d;
const LF = 0x0a;

/** The frame with all fields of `trailers`, names in lower case as HTTP/2 has them. */
export function frameGrpcWebTrailers(trailers: HeaderList): Uint8Array {
  let bytes = GRPC_PREFIX_BYTES;
  for (let i = 0; i < trailers.count; i++) bytes += nameLength(trailers, i) + valueLength(trailers, i) + 3;
  const frame = new Uint8Array(bytes);
  const length = bytes - GRPC_PREFIX_BYTES;
  frame[0] = GRPC_WEB_TRAILERS_FLAG;
  frame[1] = length >>> 24;
  frame[2] = (length >>> 16) & 0xff;
  frame[3] = (length >>> 8) & 0xff;
  frame[4] = length & 0xff;
  let at = GRPC_PREFIX_BYTES;
  for (let i = 0; i < trailers.count; i++) {
    const buf = trailers.bufferAt(i);
    for (let from = trailers.nameStartAt(i); from < trailers.nameEndAt(i); from++)
      frame[at++] = lowerCase(buf[from]!);
    frame[at++] = COLON;
    for (let from = trailers.valueStartAt(i); from < trailers.valueEndAt(i); from++) frame[at++] = buf[from]!;
    frame[at++] = CR;
    frame[at++] = LF;
  }
  return frame;
}

function nameLength(fields: HeaderList, index: number): number {
  return fields.nameEndAt(index) - fields.nameStartAt(index);
}

function valueLength(fields: HeaderList, index: number): number {
  return fields.valueEndAt(index) - fields.valueStartAt(index);
}

function lowerCase(octet: number): number {
  return octet >= 0x41 && octet <= 0x5a ? octet | 0x20 : octet;
}
