/** Requests over HTTP/2, well-formed by a library and malformed by hand, and what of their answers is compared. */
import http2 from 'node:http2';
import { connectPeer } from '@sluice/testkit';
import { fieldLines } from './h2-origins.ts';

/** Everything a client of HTTP/2 sees of one exchange. */
export interface Seen {
  readonly status: number;
  readonly interim: readonly number[];
  readonly fields: readonly string[];
  readonly body: string;
  readonly trailers: readonly string[];
  /** `whole`, or that the stream or its connection ended first. */
  readonly end: 'whole' | 'reset' | 'closed';
}

export interface H2Case {
  readonly name: string;
  run(port: number): Promise<Seen>;
}

interface Request {
  readonly headers?: http2.OutgoingHttpHeaders;
  readonly body?: string;
  readonly trailers?: Record<string, string>;
  /** RST_STREAM once the response has begun, or at once without one. */
  readonly cancels?: boolean;
}

function sends(name: string, path: string, { headers = {}, body, trailers, cancels }: Request = {}): H2Case {
  return {
    name,
    run(port) {
      const session = http2.connect(`http://127.0.0.1:${port}`);
      const seen = {
        status: 0,
        interim: [] as number[],
        fields: [] as string[],
        body: '',
        trailers: [] as string[],
      };
      return new Promise((done) => {
        let isOver = false;
        const finish = (end: Seen['end']): void => {
          if (isOver) return;
          isOver = true;
          session.destroy();
          done({ ...seen, end });
        };
        session.on('error', () => finish('closed'));
        const stream = session.request(
          { ':path': path, ':authority': 'any.test', ...headers },
          {
            endStream: body === undefined && trailers === undefined,
            waitForTrailers: trailers !== undefined,
          },
        );
        stream.on('wantTrailers', () => stream.sendTrailers(trailers ?? {}));
        stream.on('headers', (fields) => seen.interim.push(Number(fields[':status'])));
        stream.on('response', (fields) => {
          seen.status = Number(fields[':status']);
          seen.fields = fieldLines(Object.entries(fields));
          if (cancels) stream.close(http2.constants.NGHTTP2_CANCEL);
        });
        stream.on('trailers', (fields) => (seen.trailers = fieldLines(Object.entries(fields))));
        stream.on('data', (chunk: Buffer) => (seen.body += chunk.toString('latin1')));
        let hasEnded = false;
        stream.on('end', () => {
          hasEnded = (stream.rstCode ?? 0) === 0;
          if (hasEnded && seen.status !== 0) setTimeout(() => finish('whole'), 20);
        });
        stream.on('error', () => {});
        stream.on('close', () => finish((stream.rstCode ?? 0) === 0 && hasEnded ? 'whole' : 'reset'));
        session.on('close', () => finish('closed'));
        if (body !== undefined || trailers !== undefined) stream.end(body ?? '');
      });
    },
  };
}

const methodOf = (method: string): Request => ({ headers: { ':method': method } });
const post = (body: string, more: Request = {}): Request => ({
  body,
  ...more,
  headers: { ':method': 'POST', ...more.headers },
});

export const wellFormed: readonly H2Case[] = [
  sends('get', '/x?y=1'),
  sends('head', '/x', methodOf('HEAD')),
  sends('options', '/x', methodOf('OPTIONS')),
  sends('options of the server', '*', methodOf('OPTIONS')),
  sends('delete', '/x', methodOf('DELETE')),
  sends('post', '/x', post('hello')),
  sends('post with length', '/x', post('hello', { headers: { 'content-length': 5 } })),
  sends('post of nothing', '/x', post('')),
  sends('trailers in the request', '/x', post('hello', { trailers: { 'x-sum': '1' } })),
  sends('te: trailers', '/x', { headers: { te: 'trailers' } }),
  sends('cookie crumbs', '/x', { headers: { cookie: ['a=1', 'b=2', 'c=3'] } }),
  sends('fields repeated', '/x', { headers: { 'x-a': ['1', '2'], accept: 'text/html' } }),
  sends('authority with port', '/x', { headers: { ':authority': 'any.test:8080' } }),
  sends('user agent', '/x', { headers: { 'user-agent': 'test/1' } }),
  sends('x-forwarded-for', '/x', { headers: { 'x-forwarded-for': '192.0.2.1' } }),
  sends('204', '/204'),
  sends('304', '/304'),
  sends('interim response', '/hints'),
  sends('trailers in the response', '/trailers', { headers: { te: 'trailers' } }),
  sends('answer before the request is whole', '/early', post('x'.repeat(10))),
  sends('reset by the endpoint', '/reset'),
  sends('reset in the middle of the response', '/half'),
  sends('connection cut', '/cut'),
  sends('no route', '/', { headers: { ':authority': 'none.test' } }),
  sends('direct response', '/direct'),
  sends('redirect', '/redirect'),
  sends('unknown cluster', '/nowhere'),
  sends('refused connection', '/refusing'),
  sends('grpc without route', '/', {
    headers: {
      ':authority': 'none.test',
      ':method': 'POST',
      'content-type': 'application/grpc',
      te: 'trailers',
    },
  }),
];

/** Only where the endpoint speaks HTTP/2 too. */
export const onlyH2: readonly H2Case[] = [
  sends('stream refused', '/refuse'),
  sends('stream refused, retried', '/refuse-retried'),
];

type Field = readonly [string, string];

function literal(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  return Buffer.concat([Buffer.from([bytes.length]), bytes]);
}

function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

const get: readonly Field[] = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':authority', 'any.test'],
  [':path', '/x'],
];

/** A head by hand; whether it was answered, reset, or ended the connection. */
function byHand(name: string, fields: readonly Field[]): H2Case {
  return {
    name,
    async run(port) {
      const peer = await connectPeer(port);
      const block = Buffer.concat(
        fields.map(([key, value]) => Buffer.concat([Buffer.from([0]), literal(key), literal(value)])),
      );
      const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
      await peer.write(Buffer.concat([preface, frame(4, 0, 0, Buffer.alloc(0)), frame(1, 5, 1, block)]));
      let outcome: Seen['end'] = 'closed';
      const timer = setTimeout(() => peer.reset(), 2000);
      for (;;) {
        const head = await peer.readExactly(9);
        if (head === undefined) break;
        const payload = await peer.readExactly(Buffer.from(head).readUIntBE(0, 3));
        if (payload === undefined) break;
        const [type, stream] = [head[3], Buffer.from(head).readUInt32BE(5) & 0x7fffffff];
        if (stream !== 1) continue;
        if (type === 1) outcome = 'whole';
        if (type === 3) outcome = 'reset';
        if (type === 1 || type === 3) break;
      }
      clearTimeout(timer);
      peer.reset();
      return { status: 0, interim: [], fields: [], body: '', trailers: [], end: outcome };
    },
  };
}

const replaced = (key: string, value: string): readonly Field[] =>
  get.map((field) => (field[0] === key ? [key, value] : field));

export const malformed: readonly H2Case[] = [
  byHand('by hand, well-formed', get),
  byHand('upper case', [...get, ['X-A', '1']]),
  byHand('CR LF in a value', [...get, ['x-a', 'b\r\nc: d']]),
  byHand('NUL in a value', [...get, ['x-a', 'b\0']]),
  byHand('a space in a name', [...get, ['x a', '1']]),
  byHand('a colon in a name', [...get, ['x:a', '1']]),
  byHand('connection', [...get, ['connection', 'close']]),
  byHand('transfer-encoding', [...get, ['transfer-encoding', 'chunked']]),
  byHand('upgrade', [...get, ['upgrade', 'websocket']]),
  byHand('te: gzip', [...get, ['te', 'gzip']]),
  byHand('no path', get.slice(0, 3)),
  byHand('no method', get.slice(1)),
  byHand('no authority', [get[0]!, get[1]!, get[3]!]),
  byHand('host instead of authority', [get[0]!, get[1]!, get[3]!, ['host', 'any.test']]),
  byHand('two paths', [...get, [':path', '/b']]),
  byHand('unknown pseudo-header', [...get, [':x', '1']]),
  byHand('pseudo-header after a field', [...get.slice(0, 3), ['x-a', '1'], get[3]!]),
  byHand('status in a request', [...get, [':status', '200']]),
  byHand('a path that is not absolute', replaced(':path', 'x')),
  byHand('a space in the path', replaced(':path', '/a b')),
  byHand('CR LF in the path', replaced(':path', '/a\r\nb')),
  byHand('an empty path', replaced(':path', '')),
  byHand('a space in the method', replaced(':method', 'GET X')),
  byHand('a length without content', [...get, ['content-length', '5']]),
  byHand('two lengths', [...get, ['content-length', '0'], ['content-length', '1']]),
  byHand('CONNECT with a path', replaced(':method', 'CONNECT')),
];
