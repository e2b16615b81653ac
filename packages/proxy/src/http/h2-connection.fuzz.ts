/**
 * A client's HTTP/2 connection fed with hostile frames, without sockets. Besides what `fuzzConnection` holds
 * (no throw, limits given back, no timer left): what is sent back is whole frames, and of any stream at most
 * one response.
 */
import { HeaderList } from '@sluice/wire';
import { defaultH2Settings } from './h2-settings.ts';
import type { ResponseSink, UpstreamRequest, UpstreamStream } from './streams.ts';
import { testEndpoint } from './test-doubles.ts';
import { fuzzConnection } from './test-fuzz-connection.ts';
import {
  ACK,
  block,
  DATA,
  END_HEADERS,
  END_STREAM,
  frame,
  framesOf,
  get,
  GOAWAY,
  headers,
  HEADERS,
  PING,
  PREFACE,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
  type Field,
} from './test-h2-frames.ts';

/** Answers at once, echoes the body as it comes, and ends with the request. */
class EchoStream implements UpstreamStream {
  readonly endpoint = testEndpoint(1);
  readonly localAddress = '';
  readonly tls = null;
  readonly isReused = false;
  readonly isWritable = true;
  readonly queuedBytes = 0;
  #sink: ResponseSink | null;

  constructor(sink: ResponseSink) {
    this.#sink = sink;
  }
  sendHead({ headers: list, method, path }: UpstreamRequest, isEnd: boolean): void {
    list.forEach((name, value) => {
      if (/[^!#$%&'*+\-.^_`|~0-9a-z]/.test(name) || /[\0\r\n]/.test(value))
        throw new Error(`forwarded: ${JSON.stringify([name, value])}`);
    });
    if (/[\0-\x20]/.test(method + path)) throw new Error(`forwarded: ${JSON.stringify([method, path])}`);
    this.#sink?.onResponseHead({ status: 200, headers: new HeaderList(), contentLength: -1 }, isEnd);
    if (isEnd) this.#sink?.onResponseEnd(null);
  }
  sendData(data: Uint8Array, start: number, end: number): void {
    this.#sink?.onResponseData(data, start, end);
  }
  sendEnd(): void {
    this.#sink?.onResponseEnd(null);
  }
  consumed(): void {}
  release(): void {
    this.#sink = null;
  }
}

const config = {
  codec: 'h2' as const,
  http2: { ...defaultH2Settings, allowConnect: true },
  upgrades: new Map([['websocket', true]]),
};

function run(input: Uint8Array): void {
  const connection = fuzzConnection(input, (sink) => new EchoStream(sink), config);
  const octets = Buffer.concat(connection.written);
  const frames = framesOf(octets);
  const length = frames.reduce((sum, { payload }) => sum + 9 + payload.length, 0);
  if (length !== octets.length) throw new Error('what was sent is not whole frames');
  const ended = new Set<number>();
  for (const { type, flags, stream } of frames) {
    if (type !== HEADERS && type !== DATA) continue;
    if (ended.has(stream)) throw new Error(`stream ${stream} was answered after its end`);
    if ((flags & END_STREAM) !== 0) ended.add(stream);
  }
}

const post: readonly Field[] = [[':method', 'POST'], ...get.slice(1)];
const u32 = (value: number): Buffer => {
  const out = Buffer.alloc(4);
  out.writeUInt32BE(value);
  return out;
};

export default {
  name: 'proxy/http2 connection',
  seeds(): Uint8Array[] {
    const begin = [Buffer.from(PREFACE), frame(SETTINGS, 0, 0), frame(SETTINGS, ACK, 0)];
    const websocket: readonly Field[] = [[':method', 'CONNECT'], [':protocol', 'websocket'], ...get.slice(1)];
    const conversations = [
      [headers(1, get), headers(3, get), headers(5, [...get, ['cookie', 'a'], ['cookie', 'b']])],
      [headers(1, post, 0), frame(DATA, 0, 1, 'body'), frame(DATA, END_STREAM, 1, 'more')],
      [headers(1, [...post, ['content-length', '4']], 0), frame(DATA, END_STREAM, 1, 'body')],
      [headers(1, post, 0), frame(DATA, 0, 1, 'body'), headers(1, [['x-sum', '1']])],
      [headers(1, post, 0), frame(RST_STREAM, 0, 1, u32(8)), headers(3, get)],
      [headers(1, websocket, 0), frame(DATA, 0, 1, 'ping'), frame(DATA, END_STREAM, 1)],
      [
        frame(SETTINGS, 0, 0, Buffer.from([0, 4, 0, 0, 0, 1])),
        headers(1, post, 0),
        frame(DATA, 0, 1, 'body'),
      ],
      [headers(1, get), frame(WINDOW_UPDATE, 0, 0, u32(1000)), frame(PING, 0, 0, Buffer.alloc(8))],
      [headers(1, get), frame(GOAWAY, 0, 0, Buffer.alloc(8)), headers(3, get)],
      [
        frame(HEADERS, END_STREAM, 1, block(get).subarray(0, 5)),
        frame(9, END_HEADERS, 1, block(get).subarray(5)),
      ],
    ];
    return conversations.flatMap((frames) => {
      const octets = Buffer.concat([...begin, ...frames]);
      return [0, 6].map((split) => new Uint8Array(Buffer.concat([Buffer.from([split]), octets])));
    });
  },
  run,
};
