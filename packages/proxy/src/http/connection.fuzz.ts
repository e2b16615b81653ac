/**
 * A client's connection fed with hostile octets, without sockets: downstream codec, exchange, filters,
 * router, with an upstream that answers at once.
 *
 * The first octet of an input says how the rest is split. Besides not throwing: every answer is one this
 * side can read again, nothing is kept open after the client left, and limits are given back.
 */
import { HeaderList, H1ResponseParser } from '@sluice/wire';
import type { ResponseSink, UpstreamRequest, UpstreamStream } from './streams.ts';
import { testEndpoint } from './test-doubles.ts';
import { fuzzConnection } from './test-fuzz-connection.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');

/** Answers when the request has ended, with its body. */
class EchoStream implements UpstreamStream {
  readonly endpoint = testEndpoint(1);
  readonly localAddress = '';
  readonly tls = null;
  readonly isReused = false;
  readonly isWritable = true;
  readonly queuedBytes = 0;
  #sink: ResponseSink | null;
  readonly #chunks: Uint8Array[] = [];
  readonly #headers = new HeaderList();

  constructor(sink: ResponseSink) {
    this.#sink = sink;
  }
  sendHead(request: UpstreamRequest, isEnd: boolean): void {
    if (request.headers.count === 0) throw new Error('a request without headers was forwarded');
    if (isEnd) this.#answer();
  }
  sendData(data: Uint8Array, start: number, end: number): void {
    this.#chunks.push(data.slice(start, end));
  }
  sendEnd(): void {
    this.#answer();
  }
  consumed(): void {}
  release(): void {
    this.#sink = null;
  }
  #answer(): void {
    const body = Buffer.concat(this.#chunks);
    this.#sink?.onResponseHead(
      { status: 200, headers: this.#headers, contentLength: body.length },
      body.length === 0,
    );
    if (body.length > 0) this.#sink?.onResponseData(body, 0, body.length);
    this.#sink?.onResponseEnd(null);
  }
}

function run(input: Uint8Array): void {
  checkAnswers(fuzzConnection(input, (sink) => new EchoStream(sink)).text());
}

/** All that was sent must parse as responses, the last one perhaps cut off. */
function checkAnswers(text: string): void {
  let failure = '';
  const parser = new H1ResponseParser({
    onInformationalHead() {},
    onResponseHead() {},
    onBodyData() {},
    onTrailers() {},
    onMessageEnd() {},
    onParseError: (error) => {
      failure = error.code;
    },
  });
  const isHeadLike = text.includes('HEAD');
  for (let i = 0; i < 1000; i++) parser.expectResponseTo('GET');
  const data = bytes(text);
  parser.execute(data, 0, data.length);
  if (failure !== '' && !isHeadLike) throw new Error(`what was sent does not parse: ${failure}`);
}

export default {
  name: 'proxy/http connection',
  seeds(): Uint8Array[] {
    return [
      'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
      'GET /none HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\nHost: a\r\n\r\n',
      'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nx-t: 1\r\n\r\n',
      'PUT /%2e%2e/ HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx',
      'GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n',
      'GET /chat HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n',
      'CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\nxyz',
    ].flatMap((text) => [bytes(`\0${text}`), bytes(`\x06${text}`)]);
  },
  run,
};
