/**
 * An endpoint's HTTP/2 connection that answers with hostile frames, without sockets: three requests wait on
 * it. Each hears at most one head and exactly one end, nothing after it, and limits are given back.
 */
import { createRandom, FakeClock, TimerWheel } from '@sluice/runtime';
import { HeaderList } from '@sluice/wire';
import { testCluster, testEndpoint } from '../http/test-doubles.ts';
import {
  ACK,
  block,
  DATA,
  END_HEADERS,
  END_STREAM,
  frame,
  GOAWAY,
  HEADERS,
  RST_STREAM,
  SETTINGS,
  type Field,
} from '../http/test-h2-frames.ts';
import type { ResponseMessage, ResponseSink, UpstreamRequest, UpstreamStream } from '../http/streams.ts';
import type { ConnectHandler } from '../io/connection.ts';
import { MemoryConnection } from '../io/test-connection.ts';
import { createConnector } from './connector.ts';

class Waiting implements ResponseSink {
  readonly #isUpload: boolean;
  #stream: UpstreamStream | null = null;
  #heads = 0;
  ends = 0;

  constructor(isUpload: boolean) {
    this.#isUpload = isUpload;
  }
  onUpstreamReady(stream: UpstreamStream): void {
    this.#stream = stream;
    const headers = new HeaderList();
    headers.append('host', 'a');
    const request: UpstreamRequest = {
      method: this.#isUpload ? 'POST' : 'GET',
      scheme: 'http',
      authority: 'a',
      path: '/',
      headers,
      upgrade: '',
      needsWebSocketKey: false,
      contentLength: -1,
    };
    stream.sendHead(request, !this.#isUpload);
    if (this.#isUpload) stream.sendData(Buffer.from('body'), 0, 4);
  }
  onInformational({ status }: ResponseMessage): void {
    this.#mustBeOpen();
    if (status >= 200) throw new Error('a final response passed for an interim one');
  }
  onResponseHead({ status, headers }: ResponseMessage): void {
    this.#mustBeOpen();
    if (++this.#heads > 1) throw new Error('two responses to one request');
    if (status < 200 || status > 599) throw new Error(`status ${status}`);
    headers.forEach((name, value) => {
      if (/[\0\r\n :A-Z]/.test(name) || /[\0\r\n]/.test(value))
        throw new Error(`passed on: ${JSON.stringify([name, value])}`);
    });
  }
  onResponseData(_data: Uint8Array, start: number, end: number): void {
    this.#mustBeOpen();
    this.#stream?.consumed(end - start);
  }
  onResponseEnd(): void {
    this.#end();
    this.#stream?.release();
  }
  onUpstreamWritable(): void {
    this.#mustBeOpen();
  }
  onUpstreamReset(): void {
    this.#end();
  }
  #end(): void {
    this.#mustBeOpen();
    this.ends++;
  }
  #mustBeOpen(): void {
    if (this.ends > 0) throw new Error('told of something after its end');
  }
}

function run(input: Uint8Array): void {
  const clock = new FakeClock();
  const timers = new TimerWheel(clock);
  clock.attach(timers);
  const opened: { connection: MemoryConnection; handler: ConnectHandler }[] = [];
  const connector = createConnector({
    timers,
    clock,
    random: createRandom('fuzz'),
    sockets: {
      listen: () => {
        throw new Error('nobody listens here');
      },
      connect: (_target, handler) => {
        const connection = new MemoryConnection();
        opened.push({ connection, handler });
        return connection;
      },
    },
  });
  const cluster = testCluster('a', [testEndpoint(1)], { protocol: 'h2' });
  const wish = { mayReuse: true, isTunnel: false, isH2: true, serverName: '', downstream: null };
  const requests = [new Waiting(false), new Waiting(true), new Waiting(false)];
  for (const sink of requests) connector.open(cluster, cluster.limits, cluster.endpoints[0]!, sink, wish);
  const { connection, handler } = opened[0]!;
  handler.onConnect(connection);
  const step = (input[0] ?? 0) % 64 === 0 ? input.length : (input[0]! % 64) + 1;
  for (let at = 1; at < input.length; at += step) connection.receive(Buffer.from(input.slice(at, at + step)));
  clock.advance(20_000);
  connection.closeBy('reset');
  for (const { ends } of requests) if (ends !== 1) throw new Error(`a request ended ${ends} times`);
  if (cluster.limits.connections.current !== opened.length - 1)
    throw new Error('a connection was not given back');
  clock.advance(3_700_000);
  if (timers.size !== 0) throw new Error(`${timers.size} timers outlived the connection`);
}

const u32 = (value: number): Buffer => {
  const out = Buffer.alloc(4);
  out.writeUInt32BE(value);
  return out;
};
const head = (stream: number, fields: readonly Field[], flags: number): Buffer =>
  frame(HEADERS, END_HEADERS | flags, stream, block(fields));
const ok: readonly Field[] = [[':status', '200']];

export default {
  name: 'proxy/http2 responses',
  seeds(): Uint8Array[] {
    const begin = [frame(SETTINGS, 0, 0), frame(SETTINGS, ACK, 0)];
    const conversations = [
      [head(1, ok, END_STREAM), head(3, ok, END_STREAM), head(5, ok, END_STREAM)],
      [head(1, [...ok, ['content-length', '4']], 0), frame(DATA, END_STREAM, 1, 'body')],
      [
        head(3, [[':status', '103']], 0),
        head(3, ok, 0),
        frame(DATA, 0, 3, 'x'),
        head(3, [['x-t', '1']], END_STREAM),
      ],
      [frame(RST_STREAM, 0, 1, u32(7)), frame(RST_STREAM, 0, 3, u32(2)), head(5, ok, END_STREAM)],
      [frame(GOAWAY, 0, 0, Buffer.concat([u32(3), u32(0)])), head(1, ok, END_STREAM)],
      [frame(SETTINGS, 0, 0, Buffer.from([0, 3, 0, 0, 0, 1])), head(1, ok, END_STREAM)],
    ];
    return conversations.flatMap((frames) => {
      const octets = Buffer.concat([...begin, ...frames]);
      return [0, 6].map((split) => new Uint8Array(Buffer.concat([Buffer.from([split]), octets])));
    });
  },
  run,
};
