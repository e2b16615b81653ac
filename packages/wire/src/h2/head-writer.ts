/**
 * Writes heads and trailers as HEADERS frames, encoded in place in the output.
 *
 * What HTTP/2 forbids is left out (RFC 9113 §8.2.2): connection-specific fields, what Connection names, and
 * TE but for `trailers`. A request's Host gives way to `:authority`.
 */
import { bytesEqual } from '../headers/bytes.ts';
import type { HeaderList } from '../headers/header-list.ts';
import { H } from '../headers/names.ts';
import { NominatedFields } from '../h1/hop-by-hop.ts';
import { FRAME_HEADER_BYTES, FrameFlag, FrameType, MIN_MAX_FRAME_BYTES, writeFrameHeader } from './frame.ts';
import type { FrameWriter } from './frame-writer.ts';
import { BLOCK_OVERHEAD_BYTES, FIELD_OVERHEAD_BYTES, HpackEncoder } from './hpack/encoder.ts';
import { StaticIndex } from './hpack/static-table.ts';

/** Pseudo-header fields with their integers, beside their values. */
const PSEUDO_OVERHEAD_BYTES = 5 * FIELD_OVERHEAD_BYTES + 16;

const KEPT = 0;
const DROPPED = 1;
const HOST = 2;
const TE = 3;
/** By name id, what becomes of a field; ids beyond are kept. */
const treatment = treatments();
const nominated = new NominatedFields();

export class HeadWriter {
  readonly encoder: HpackEncoder;
  readonly #frames: FrameWriter;

  constructor(frames: FrameWriter, maxTableBytes: number) {
    this.#frames = frames;
    this.encoder = new HpackEncoder(maxTableBytes);
  }

  request(
    streamId: number,
    method: string,
    scheme: string,
    authority: string,
    path: string,
    protocol: string,
    headers: HeaderList,
    maxFrameBytes: number,
    isEnd: boolean,
  ): void {
    const values = method.length + scheme.length + authority.length + path.length + protocol.length;
    const bound = blockBound(headers) + values;
    const out = this.#open(bound);
    const start = this.#start;
    const { encoder } = this;
    let at = encoder.begin(out, start);
    if (method === 'GET') at = encoder.indexed(out, at, StaticIndex.methodGet);
    else if (method === 'POST') at = encoder.indexed(out, at, StaticIndex.methodPost);
    else at = encoder.pseudo(out, at, StaticIndex.methodGet, method);
    // RFC 9113 §8.5: CONNECT has neither, the extended one has both.
    if (method !== 'CONNECT' || protocol !== '') {
      if (scheme === 'http') at = encoder.indexed(out, at, StaticIndex.schemeHttp);
      else if (scheme === 'https') at = encoder.indexed(out, at, StaticIndex.schemeHttps);
      else at = encoder.pseudo(out, at, StaticIndex.schemeHttp, scheme);
      if (path === '/') at = encoder.indexed(out, at, StaticIndex.pathRoot);
      else at = encoder.pseudo(out, at, StaticIndex.pathRoot, path);
    }
    if (authority !== '') at = encoder.pseudo(out, at, StaticIndex.authority, authority);
    if (protocol !== '') at = encoder.protocol(out, at, protocol);
    at = this.#fields(out, at, headers, true);
    this.#close(out, streamId, start, at, bound, maxFrameBytes, isEnd);
  }

  response(
    streamId: number,
    status: number,
    headers: HeaderList,
    maxFrameBytes: number,
    isEnd: boolean,
  ): void {
    const bound = blockBound(headers);
    const out = this.#open(bound);
    const start = this.#start;
    let at = this.encoder.begin(out, start);
    at = this.encoder.status(out, at, status);
    at = this.#fields(out, at, headers, false);
    this.#close(out, streamId, start, at, bound, maxFrameBytes, isEnd);
  }

  trailers(streamId: number, trailers: HeaderList, maxFrameBytes: number): void {
    const bound = blockBound(trailers);
    const out = this.#open(bound);
    const start = this.#start;
    const at = this.#fields(out, this.encoder.begin(out, start), trailers, false);
    this.#close(out, streamId, start, at, bound, maxFrameBytes, true);
  }

  #start = 0;

  /** Memory for the block from `#start`: in the output behind a frame header, or apart if it may need more frames. */
  #open(bound: number): Uint8Array {
    if (bound > MIN_MAX_FRAME_BYTES) {
      this.#start = 0;
      return new Uint8Array(bound);
    }
    const { output } = this.#frames;
    const out = output.reserve(FRAME_HEADER_BYTES + bound);
    this.#start = output.writeOffset + FRAME_HEADER_BYTES;
    return out;
  }

  #close(
    out: Uint8Array,
    streamId: number,
    start: number,
    end: number,
    bound: number,
    maxFrameBytes: number,
    isEnd: boolean,
  ): void {
    if (bound > MIN_MAX_FRAME_BYTES) {
      this.#frames.headers(streamId, out, end, maxFrameBytes, isEnd);
      return;
    }
    const flags = FrameFlag.END_HEADERS | (isEnd ? FrameFlag.END_STREAM : FrameFlag.NONE);
    writeFrameHeader(out, start - FRAME_HEADER_BYTES, end - start, FrameType.HEADERS, flags, streamId);
    this.#frames.output.commit(end);
    this.#frames.count(false);
  }

  #fields(out: Uint8Array, from: number, headers: HeaderList, isRequest: boolean): number {
    const { encoder } = this;
    const hasNominated = headers.has(H.connection);
    if (hasNominated) nominated.read(headers);
    let at = from;
    for (let i = 0, count = headers.count; i < count; i++) {
      const id = headers.nameIdAt(i);
      const buf = headers.bufferAt(i);
      const nameStart = headers.nameStartAt(i);
      const nameEnd = headers.nameEndAt(i);
      const valueStart = headers.valueStartAt(i);
      const valueEnd = headers.valueEndAt(i);
      if (id < treatment.length && treatment[id] !== KEPT) {
        if (treatment[id] === DROPPED || (treatment[id] === HOST && isRequest)) continue;
        if (treatment[id] === TE && !bytesEqual(buf, valueStart, valueEnd, 'trailers')) continue;
      } else if (hasNominated && nominated.has(buf, nameStart, nameEnd)) {
        continue;
      }
      at = encoder.field(out, at, id, buf, nameStart, nameEnd, valueStart, valueEnd, headers.flagsAt(i));
    }
    return at;
  }
}

function blockBound(headers: HeaderList): number {
  return (
    BLOCK_OVERHEAD_BYTES + PSEUDO_OVERHEAD_BYTES + headers.byteSize + headers.count * FIELD_OVERHEAD_BYTES
  );
}

function treatments(): Uint8Array {
  const dropped = [
    H.connection,
    H.transferEncoding,
    H.upgrade,
    H.keepAlive,
    H.proxyConnection,
    H.http2Settings,
  ];
  const table = new Uint8Array(Math.max(...dropped, H.host, H.te) + 1);
  for (const id of dropped) table[id] = DROPPED;
  table[H.host] = HOST;
  table[H.te] = TE;
  return table;
}
