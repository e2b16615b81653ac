/**
 * Cost of parsing a request head, and of parsing and writing it, against http-parser-js (a parser in
 * JavaScript too) in the same minute.
 *
 *   bun bench/h1-codec.ts
 */
import { HTTPParser } from 'http-parser-js';
import {
  type ByteRange,
  H,
  H1RequestParser,
  writeRequestHead,
  type H1RequestSink,
  type RequestHead,
  type RequestWriteOptions,
} from '@sluice/wire';

const ROUNDS = 7;
const HEADS_PER_ROUND = 200_000;

const head = new Uint8Array(
  Buffer.from(
    'GET /api/v1/reviews/1234?limit=10 HTTP/1.1\r\nHost: reviews.default:9080\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n' +
      'Accept: application/json\r\nAccept-Encoding: gzip, deflate\r\nX-Request-Id: 4bf92f35-77b3-4da6-a3ce-929d0e0e4736\r\n' +
      'Cookie: session=0123456789abcdef\r\nX-User: alice\r\nConnection: keep-alive\r\n\r\n',
    'latin1',
  ),
);
const out = new Uint8Array(65_536);
let written = 0;

class ParseSink implements H1RequestSink {
  onRequestHead(head: RequestHead): void {
    written += head.rawHeadEnd - head.rawHeadStart;
  }
  onBodyData(): void {}
  onTrailers(): void {}
  onMessageEnd(): void {}
  onParseError(): void {
    throw new Error('the benchmark sends a valid head');
  }
}

/** As on the data path: one field edited, one added, the head written with the target's octets. */
class ForwardSink extends ParseSink {
  readonly #options: RequestWriteOptions = {
    bodyKind: 'none',
    contentLength: 0,
    connection: 'omit',
    passesUpgrade: false,
  };
  readonly #target: ByteRange = { buf: out, start: 0, end: 0 };

  override onRequestHead(head: RequestHead): void {
    head.headers.set(H.xForwardedProto, 'http');
    head.headers.append(H.xEnvoyAttemptCount, '1');
    this.#target.buf = head.buf;
    this.#target.start = head.pathStart;
    this.#target.end = head.pathEnd;
    this.#options.bodyKind = head.bodyKind;
    written += writeRequestHead(out, 0, head.method, this.#target, head.headers, this.#options);
  }
}

function loopOf(sink: H1RequestSink): () => void {
  const parser = new H1RequestParser(sink);
  return () => {
    parser.execute(head, 0, head.length);
  };
}

const peerInput = Buffer.from(head);
const peer = new HTTPParser(HTTPParser.REQUEST);

const candidates: ReadonlyArray<readonly [string, () => void]> = [
  ['parse', loopOf(new ParseSink())],
  ['parse and write', loopOf(new ForwardSink())],
  ['http-parser-js, parse', () => void peer.execute(peerInput, 0, peerInput.length)],
];

const bestNs = candidates.map(() => Number.POSITIVE_INFINITY);
for (let round = 0; round < ROUNDS; round++) {
  for (const [k, [, run]] of candidates.entries()) {
    const start = Bun.nanoseconds();
    for (let i = 0; i < HEADS_PER_ROUND; i++) run();
    bestNs[k] = Math.min(bestNs[k]!, (Bun.nanoseconds() - start) / HEADS_PER_ROUND);
  }
}
console.log(
  `${head.length} octets, 8 fields; best of ${ROUNDS} rounds of ${HEADS_PER_ROUND} heads (checksum ${written})`,
);
for (const [k, [name]] of candidates.entries()) {
  console.log(
    `${name.padEnd(24)} ${bestNs[k]!.toFixed(0).padStart(6)} ns/head   ${(bestNs[k]! / bestNs[2]!).toFixed(2)} × peer`,
  );
}
