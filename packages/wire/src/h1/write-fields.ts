/**
 * Field lines of a forwarded head. Adjacent received lines are copied as one run; hop-by-hop fields are
 * left out; framing stays where it stood if it says exactly what this message is, else is made anew.
 */
import { COLON, CR, LF, SP, copyOctets, tokenEquals, writeDecimal, writeLatin1 } from '../headers/bytes.ts';
import type { HeaderList } from '../headers/header-list.ts';
import { H } from '../headers/names.ts';
import { elementEnd, readContentLength, skipSpace, trimSpace } from './framing.ts';
import { NominatedFields } from './hop-by-hop.ts';

/** How the length of a written message is announced. */
export type WriteFraming =
  /** No framing field. */
  | 'none'
  | 'length'
  | 'chunked'
  /** A received Content-Length stays as it is: the metadata of HEAD and 304 responses. */
  | 'metadata';

/** What the writer says about the connection: nothing, or one of these options. */
export type WriteConnection = 'omit' | 'close' | 'keep-alive';

const LAST_HOP_NAME = H.proxyConnection;
const CONTENT_LENGTH = H.contentLength;
const TRANSFER_ENCODING = H.transferEncoding;
const CONNECTION = H.connection;
const TE = H.te;
const TRAILER = H.trailer;
const UPGRADE = H.upgrade;
const KEEP_ALIVE = H.keepAlive;
const PROXY_CONNECTION = H.proxyConnection;
const HTTP2_SETTINGS = H.http2Settings;

const nominated = new NominatedFields();

/**
 * Writes all field lines, Connection, framing and the empty line. Returns the offset after them, or -1
 * if they do not fit into `out`.
 */
export function writeFields(
  out: Uint8Array,
  at: number,
  headers: HeaderList,
  framing: WriteFraming,
  contentLength: number,
  connection: WriteConnection,
  passesUpgrade: boolean,
): number {
  if (at + sizeBound(headers) > out.length) return -1;
  nominated.read(headers);
  const hasNominated = nominated.count > 0;
  let isFramed = framing === 'none' || framing === 'metadata';
  let takesTrailers = false;
  let sendsUpgrade = false;
  let to = at;
  let runBuf: Uint8Array | undefined;
  let runStart = 0;
  let runEnd = 0;
  for (let i = 0, count = headers.count; i < count; i++) {
    const id = headers.nameIdAt(i);
    if (id !== 0 && (id <= LAST_HOP_NAME || id === HTTP2_SETTINGS)) {
      if (id === CONTENT_LENGTH) {
        if (framing === 'metadata') {
          if (i !== headers.indexOf(CONTENT_LENGTH)) continue;
        } else if (framing !== 'length' || isFramed || !isLength(headers, i, contentLength)) continue;
        isFramed = true;
      } else if (id === TRANSFER_ENCODING) {
        if (framing !== 'chunked' || isFramed || !isChunked(headers, i)) continue;
        isFramed = true;
      } else if (id === TE) {
        takesTrailers ||= namesTrailers(headers, i);
        continue;
      } else if (id === UPGRADE) {
        if (!passesUpgrade) continue;
        sendsUpgrade = true;
      } else if (id === TRAILER) {
        if (framing !== 'chunked') continue;
      } else if (id === CONNECTION || id === KEEP_ALIVE || id === PROXY_CONNECTION || id === HTTP2_SETTINGS) {
        continue;
      }
    } else if (
      hasNominated &&
      nominated.has(headers.bufferAt(i), headers.nameStartAt(i), headers.nameEndAt(i))
    ) {
      continue;
    }
    const buf = headers.bufferAt(i);
    const start = headers.nameStartAt(i);
    const lineEnd = headers.lineEndAt(i);
    if (lineEnd !== 0 && buf === runBuf && start === runEnd) {
      runEnd = lineEnd;
      continue;
    }
    if (runBuf !== undefined) to = copyOctets(runBuf, runStart, runEnd, out, to);
    if (lineEnd !== 0) {
      runBuf = buf;
      runStart = start;
      runEnd = lineEnd;
    } else {
      runBuf = undefined;
      to = writeLine(headers, i, out, to);
    }
  }
  if (runBuf !== undefined) to = copyOctets(runBuf, runStart, runEnd, out, to);
  if (takesTrailers) to = writeLatin1(out, to, 'te: trailers\r\n');
  if (!isFramed) to = writeFraming(out, to, framing, contentLength);
  to = writeConnection(out, to, connection, sendsUpgrade, takesTrailers);
  out[to] = CR;
  out[to + 1] = LF;
  return to + 2;
}

/** Writes entry `index` as a line of its own. */
export function writeLine(headers: HeaderList, index: number, out: Uint8Array, at: number): number {
  const buf = headers.bufferAt(index);
  let to = copyOctets(buf, headers.nameStartAt(index), headers.nameEndAt(index), out, at);
  out[to] = COLON;
  out[to + 1] = SP;
  to = copyOctets(buf, headers.valueStartAt(index), headers.valueEndAt(index), out, to + 2);
  out[to] = CR;
  out[to + 1] = LF;
  return to + 2;
}

function writeFraming(out: Uint8Array, at: number, framing: WriteFraming, contentLength: number): number {
  if (framing === 'chunked') return writeLatin1(out, at, 'transfer-encoding: chunked\r\n');
  const to = writeDecimal(out, writeLatin1(out, at, 'content-length: '), contentLength);
  out[to] = CR;
  out[to + 1] = LF;
  return to + 2;
}

function writeConnection(
  out: Uint8Array,
  at: number,
  connection: WriteConnection,
  upgrade: boolean,
  te: boolean,
): number {
  if (upgrade) return writeLatin1(out, at, te ? 'connection: upgrade, te\r\n' : 'connection: upgrade\r\n');
  if (connection === 'close')
    return writeLatin1(out, at, te ? 'connection: close, te\r\n' : 'connection: close\r\n');
  if (connection === 'keep-alive')
    return writeLatin1(out, at, te ? 'connection: keep-alive, te\r\n' : 'connection: keep-alive\r\n');
  return te ? writeLatin1(out, at, 'connection: te\r\n') : at;
}

/** Octets that the head takes at most: its lines as received, the fields made here, the empty line. */
function sizeBound(headers: HeaderList): number {
  let size = 160;
  for (let i = 0; i < headers.count; i++) {
    const lineEnd = headers.lineEndAt(i);
    const start = headers.nameStartAt(i);
    size +=
      lineEnd !== 0
        ? lineEnd - start
        : headers.nameEndAt(i) - start + headers.valueEndAt(i) - headers.valueStartAt(i) + 4;
  }
  return size;
}

/** A received Content-Length that may stand: this length, written without leading zeros. */
function isLength(headers: HeaderList, index: number, contentLength: number): boolean {
  const buf = headers.bufferAt(index);
  const start = headers.valueStartAt(index);
  const end = headers.valueEndAt(index);
  if (end - start > 1 && buf[start] === 0x30) return false;
  return readContentLength(buf, start, end) === contentLength;
}

function isChunked(headers: HeaderList, index: number): boolean {
  return tokenEquals(
    headers.bufferAt(index),
    headers.valueStartAt(index),
    headers.valueEndAt(index),
    'chunked',
  );
}

/** Of TE only `trailers` goes on (RFC 9110 §10.1.4): codings were agreed with us, not with the next hop. */
function namesTrailers(headers: HeaderList, index: number): boolean {
  const buf = headers.bufferAt(index);
  const end = headers.valueEndAt(index);
  for (let at = headers.valueStartAt(index); at < end;) {
    const stop = elementEnd(buf, at, end);
    const first = skipSpace(buf, at, stop);
    if (tokenEquals(buf, first, trimSpace(buf, first, stop), 'trailers')) return true;
    at = stop + 1;
  }
  return false;
}
