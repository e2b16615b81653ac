/**
 * Forwards a received stream as a proxy would, through parser and writers only: for the tests and fuzz
 * targets that ask whether what leaves us means what was received.
 */
import { decodeLatin1 } from '../headers/bytes.ts';
import type { HeaderList } from '../headers/header-list.ts';
import { H1RequestParser, type H1RequestSink } from './request-parser.ts';
import type { RequestHead } from './request-head.ts';
import { writeChunkEnd, writeChunkHeader, writeLastChunk } from './write-chunk.ts';
import { writeRequestHead, type RequestWriteOptions } from './write-head.ts';

export interface Forwarded {
  /** Octets of each message that was received whole. */
  readonly messages: readonly Uint8Array[];
  readonly hasFailed: boolean;
}

export function forwardRequests(bytes: Uint8Array): Forwarded {
  const sink = new ForwardingSink();
  const parser = new H1RequestParser(sink);
  parser.execute(bytes, 0, bytes.length);
  return { messages: sink.messages, hasFailed: parser.hasFailed };
}

class ForwardingSink implements H1RequestSink {
  readonly messages: Uint8Array[] = [];
  #out = new Uint8Array(4096);
  #length = 0;
  #isChunked = false;
  #trailers: HeaderList | undefined = undefined;
  readonly #options: RequestWriteOptions = {
    bodyKind: 'none',
    contentLength: 0,
    connection: 'omit',
    passesUpgrade: false,
  };

  onRequestHead(head: RequestHead): void {
    this.#options.bodyKind = head.bodyKind;
    this.#options.contentLength = head.contentLength;
    this.#options.passesUpgrade = head.isUpgrade;
    this.#isChunked = head.bodyKind === 'chunked';
    this.#trailers = undefined;
    const target = head.targetForm === 'authority' ? head.target : head.path;
    this.#write(head.rawHeadEnd - head.rawHeadStart + 512, (at) =>
      writeRequestHead(this.#out, at, head.method, target, head.headers, this.#options),
    );
  }
  onBodyData(buf: Uint8Array, start: number, end: number): void {
    const size = end - start;
    this.#write(size + 32, (at) => {
      const from = this.#isChunked ? writeChunkHeader(this.#out, at, size) : at;
      this.#out.set(buf.subarray(start, end), from);
      return this.#isChunked ? writeChunkEnd(this.#out, from + size) : from + size;
    });
  }
  onTrailers(trailers: HeaderList): void {
    this.#trailers = trailers;
  }
  onMessageEnd(): void {
    const trailers = this.#trailers;
    if (this.#isChunked)
      this.#write((trailers?.byteSize ?? 0) + 8, (at) => writeLastChunk(this.#out, at, trailers));
    this.messages.push(this.#out.slice(0, this.#length));
    this.#length = 0;
  }
  onParseError(): void {
    this.#length = 0;
  }

  #write(needed: number, write: (at: number) => number): void {
    if (this.#length + needed > this.#out.length) {
      const grown = new Uint8Array(this.#out.length * 2 + needed);
      grown.set(this.#out);
      this.#out = grown;
    }
    const end = write(this.#length);
    if (end < 0) throw new Error(`a message did not fit: ${decodeLatin1(this.#out, 0, this.#length)}`);
    this.#length = end;
  }
}
