/**
 * The head of a request as offsets into the octets received; strings are made when asked for.
 *
 * One object per parser, reused for each request: valid from `onRequestHead` until the parser begins
 * the next head (pause the parser to keep it longer) or `reset()`. Only the parser writes its fields;
 * a sink may edit `headers`.
 */
import { EMPTY_BYTES, decodeLatin1, decodeLatin1Again } from '../headers/bytes.ts';
import { HeaderList } from '../headers/header-list.ts';
import { H } from '../headers/names.ts';

/** RFC 9112 §3.2. */
export type TargetForm = 'origin' | 'absolute' | 'authority' | 'asterisk';

export type RequestBodyKind = 'none' | 'length' | 'chunked';

export class RequestHead {
  /** A shared constant for known methods. */
  method = '';
  targetForm: TargetForm = 'origin';
  /** 10 or 11. */
  version: 10 | 11 = 11;
  readonly headers = new HeaderList();
  /** Holds the request line; field lines may lie in it too. */
  buf: Uint8Array = EMPTY_BYTES;
  targetStart = 0;
  targetEnd = 0;
  /** Path and query: the target itself in origin-form, what follows the authority in absolute-form (may be empty). */
  pathStart = 0;
  pathEnd = 0;
  /** Of absolute and authority form; equal where the authority is in Host. */
  authorityStart = 0;
  authorityEnd = 0;
  /** Of absolute-form, '' otherwise. */
  scheme: '' | 'http' | 'https' = '';
  bodyKind: RequestBodyKind = 'none';
  /** With bodyKind 'length'; 0 otherwise. */
  contentLength = 0;
  /** The client allows another request on this connection. */
  isKeepAlive = true;
  /** HTTP/1.1 with Upgrade and `Connection: upgrade`; the parser stops after this message. */
  isUpgrade = false;
  /** The client waits for 100 before it sends content. */
  expectsContinue = false;
  /** First octet of the request line, and the one after the empty line. */
  rawHeadStart = 0;
  rawHeadEnd = 0;
  #path: string | undefined = undefined;
  #authority: string | undefined = undefined;
  /** Of earlier heads. */
  #lastPath = '';
  #lastAuthority = '';

  get target(): string {
    return decodeLatin1(this.buf, this.targetStart, this.targetEnd);
  }

  /** Path with query, as a server is asked for it: never empty except for CONNECT. */
  get path(): string {
    return (this.#path ??= this.#readPath());
  }

  /** The target's authority if it has one, which then outranks Host (RFC 9112 §3.2.2), else Host; '' if neither. */
  get authority(): string {
    return (this.#authority ??= this.#readAuthority());
  }

  /** Lets go of all received octets. */
  reset(): void {
    this.method = '';
    this.headers.reset();
    this.buf = EMPTY_BYTES;
    this.targetForm = 'origin';
    this.targetStart = 0;
    this.targetEnd = 0;
    this.pathStart = 0;
    this.pathEnd = 0;
    this.authorityStart = 0;
    this.authorityEnd = 0;
    this.scheme = '';
    this.bodyKind = 'none';
    this.contentLength = 0;
    this.isKeepAlive = true;
    this.isUpgrade = false;
    this.expectsContinue = false;
    this.#path = undefined;
    this.#authority = undefined;
  }

  #readAuthority(): string {
    const { headers } = this;
    let buf = this.buf;
    let start = this.authorityStart;
    let end = this.authorityEnd;
    if (end <= start) {
      const host = headers.indexOf(H.host);
      if (host < 0) return '';
      buf = headers.bufferAt(host);
      start = headers.valueStartAt(host);
      end = headers.valueEndAt(host);
    }
    this.#lastAuthority = decodeLatin1Again(buf, start, end, this.#lastAuthority);
    return this.#lastAuthority;
  }

  #readPath(): string {
    const path = decodeLatin1Again(this.buf, this.pathStart, this.pathEnd, this.#lastPath);
    this.#lastPath = path;
    if (this.targetForm !== 'absolute' || path.startsWith('/')) return path;
    // RFC 9110 §4.2.1 and §7.1: an empty path is "/", and for OPTIONS the server as a whole.
    if (path === '') return this.method === 'OPTIONS' ? '*' : '/';
    return '/' + path;
  }
}
