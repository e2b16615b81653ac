/**
 * Cost of an HTTP/2 exchange in memory, client and server together, against node:http2 over a pair of streams
 * in the same minute: a head each way, 1 KB of content, sixteen streams at a time.
 *
 *   bun bench/h2-codec.ts
 */
import { connect, createServer } from 'node:http2';
import type { Http2Server, ServerHttp2Stream } from 'node:http2';
import { Duplex } from 'node:stream';
import {
  H2Session,
  HeaderList,
  defaultH2Limits,
  type H2Output,
  type H2SessionSink,
  type H2Stream,
} from '@sluice/wire';

const ROUNDS = 5;
const EXCHANGES_PER_ROUND = 10_000;
const STREAMS = 16;
const OUTPUT_BYTES = 1024 * 1024;
const body = new Uint8Array(1024).fill(0x61);

class Output implements H2Output {
  readonly isWritable = true;
  writeOffset = 0;
  readonly #buffer = Buffer.allocUnsafeSlow(OUTPUT_BYTES);
  reserve(): Uint8Array {
    return this.#buffer;
  }
  commit(end: number): void {
    this.writeOffset = end;
  }
  write(data: Uint8Array, start: number, end: number): void {
    this.#buffer.set(data.subarray(start, end), this.writeOffset);
    this.writeOffset += end - start;
  }
  take(): Uint8Array {
    const taken = Buffer.from(this.#buffer.subarray(0, this.writeOffset));
    this.writeOffset = 0;
    return taken;
  }
}

const ignored: Omit<H2SessionSink, 'onHead' | 'onData' | 'onEnd'> = {
  onHeadTooLarge: () => undefined,
  onInformational: () => undefined,
  onWritable: () => undefined,
  onReset: () => {
    throw new Error('the benchmark resets nothing');
  },
  onGoAway: () => undefined,
  onSettings: () => undefined,
  onPong: () => undefined,
  onFailure: (_code, detail) => {
    throw new Error(detail);
  },
  onDrained: () => undefined,
};

function sessionOf(role: 'client' | 'server', output: Output, sink: H2SessionSink): H2Session {
  const session = new H2Session(
    {
      role,
      localSettings: {
        headerTableSize: 4096,
        maxConcurrentStreams: 100,
        initialWindowBytes: 256 * 1024,
        maxFrameBytes: 16_384,
        maxHeaderListBytes: 61_440,
        enableConnectProtocol: false,
      },
      connectionWindowBytes: 1024 * 1024,
      limits: defaultH2Limits,
    },
    output,
    sink,
    0,
  );
  session.start();
  return session;
}

function ours(): (exchanges: number) => Promise<void> {
  const requestFields = listOf({ 'user-agent': 'bench', accept: '*/*', 'x-user': 'alice' });
  const responseFields = listOf({ server: 'bench', 'content-type': 'text/plain', 'content-length': '1024' });
  let done = 0;
  const toServer = new Output();
  const toClient = new Output();
  const client = sessionOf('client', toServer, {
    ...ignored,
    onHead: () => undefined,
    onData: (stream, _buf, start, end) => stream.consumed(end - start),
    onEnd: (stream: H2Stream) => {
      done++;
      stream.release();
    },
  });
  const server = sessionOf('server', toClient, {
    ...ignored,
    onHead: (stream) => {
      stream.sendResponseHead(200, responseFields, false);
      stream.sendData(body, 0, body.length, true);
      stream.release();
    },
    onData: () => undefined,
    onEnd: () => undefined,
  });
  return async (exchanges) => {
    const target = done + exchanges;
    while (done < target) {
      for (let i = 0; i < STREAMS; i++) {
        const path = `/orders/${done % 7}`;
        client.open(null)?.sendRequestHead('GET', 'http', 'orders:9080', path, '', requestFields, true);
      }
      const up = toServer.take();
      server.receive(up, 0, up.length, performance.now());
      const down = toClient.take();
      client.receive(down, 0, down.length, performance.now());
    }
  };
}

function nodes(): (exchanges: number) => Promise<void> {
  const server: Http2Server = createServer();
  server.on('stream', (opened) => {
    // @types/bun widens the stream of a server to the client's kind.
    const stream = opened as ServerHttp2Stream;
    stream.respond({
      ':status': 200,
      server: 'bench',
      'content-type': 'text/plain',
      'content-length': '1024',
    });
    stream.end(body);
  });
  const [near, far] = streamPair();
  server.emit('connection', far);
  const client = connect('http://orders:9080', { createConnection: () => near });
  const exchange = (i: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const stream = client.request({
        ':path': `/orders/${i % 7}`,
        'user-agent': 'bench',
        accept: '*/*',
        'x-user': 'alice',
      });
      stream.on('error', reject);
      stream.on('end', () => resolve());
      stream.resume();
    });
  return async (exchanges) => {
    for (let done = 0; done < exchanges; done += STREAMS)
      await Promise.all(Array.from({ length: STREAMS }, (_, i) => exchange(i)));
  };
}

/** Two streams, each reading what the other writes. */
function streamPair(): [Duplex, Duplex] {
  const make = (other: () => Duplex): Duplex =>
    new Duplex({
      read: () => undefined,
      write: (chunk: Buffer, _encoding, done) => {
        other().push(chunk);
        done();
      },
    });
  const near: Duplex = make(() => far);
  const far: Duplex = make(() => near);
  return [near, far];
}

function listOf(fields: Readonly<Record<string, string>>): HeaderList {
  const list = new HeaderList();
  for (const [name, value] of Object.entries(fields)) list.append(name, value);
  return list;
}

const candidates: ReadonlyArray<readonly [string, (exchanges: number) => Promise<void>]> = [
  ['our sessions', ours()],
  ['node:http2', nodes()],
];
const best = new Map<string, number>();
for (let round = 0; round < ROUNDS; round++) {
  for (const [name, run] of candidates) {
    const startedMs = performance.now();
    await run(EXCHANGES_PER_ROUND);
    const micros = ((performance.now() - startedMs) * 1000) / EXCHANGES_PER_ROUND;
    best.set(name, Math.min(best.get(name) ?? Infinity, micros));
  }
}
const peer = best.get('node:http2') ?? Number.NaN;
console.log('An HTTP/2 exchange in memory, both ends, 1 KB, sixteen at a time; the best of five rounds');
for (const [name, micros] of best)
  console.log(`${name.padEnd(14)} ${micros.toFixed(2)} µs  ${(micros / peer).toFixed(2)} × node:http2`);
process.exit(0);
