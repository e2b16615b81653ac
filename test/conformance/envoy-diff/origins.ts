/**
 * The upstreams that both proxies share. Each records what reached it and does what the request's `x-script`
 * header says: words separated by `;`, read from left to right.
 *
 *   status=503        answer with this status
 *   first=2:503       the first two attempts of a case get this status (or `reset`, `close`), later ones 200
 *   header=Name: v    add a response header (repeatable)
 *   body=text         this body instead of the description
 *   type=media/type   this content type
 *   grpc=5            a gRPC message, and this status in the trailers
 *   hang reset close garbage half-head half-body chunked trailers until-close hints upgrade early
 */
import { startHttpOrigin, type HttpOrigin, type OriginRequest } from '@sluice/testkit';
import type { PeerConnection } from '@sluice/testkit';

export interface Received {
  readonly origin: string;
  readonly method: string;
  readonly target: string;
  readonly version: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
  readonly trailers: readonly (readonly [name: string, value: string])[];
}

export interface Origins {
  readonly ports: ReadonlyMap<string, number>;
  /** What arrived since the last call. */
  take(): Received[];
}

export const originNames = ['alpha', 'beta', 'gamma'] as const;

export function startOrigins(): Origins {
  let received: Received[] = [];
  const ports = new Map<string, number>();
  for (const name of originNames) {
    const origin: HttpOrigin = startHttpOrigin(async (request, connection) => {
      const attempt = received.push(describe(name, request));
      await answer(name, request, connection, attempt);
      return undefined;
    });
    ports.set(name, origin.port);
  }
  return {
    ports,
    take: () => {
      const taken = received;
      received = [];
      return taken;
    },
  };
}

function describe(origin: string, request: OriginRequest): Received {
  const { method, target, version, headers, trailers } = request;
  return {
    origin,
    method,
    target,
    version,
    headers,
    trailers,
    body: Buffer.from(request.body).toString('latin1'),
  };
}

async function answer(
  name: string,
  request: OriginRequest,
  connection: PeerConnection,
  attempt: number,
): Promise<void> {
  let status = 200;
  let body = `${name} got ${request.method} ${request.target}\n`;
  const headers = [`x-origin: ${name}`, 'content-type: text/plain'];
  const script = request.header('x-script') ?? '';
  for (const word of script.split(';')) {
    const equals = word.indexOf('=');
    const key = equals < 0 ? word : word.slice(0, equals);
    const value = word.slice(equals + 1);
    if (key === 'status') status = Number(value);
    else if (key === 'header') headers.push(value);
    else if (key === 'body') body = value;
    else if (key === 'type') headers[1] = `content-type: ${value}`;
    else if (key === 'grpc') return answerGrpc(connection, value);
    else if (key === 'first') {
      const [count = '', what = ''] = value.split(':');
      if (attempt > Number(count)) continue;
      if (what in rawAnswers) return rawAnswers[what]?.(connection, headers);
      status = Number(what);
    } else if (key in rawAnswers) return rawAnswers[key]?.(connection, headers);
    else if (key !== '') throw new Error(`the origin knows no script word "${word}"`);
  }
  const hasContent = status >= 200 && status !== 204 && status !== 304;
  if (hasContent) headers.push(`content-length: ${Buffer.byteLength(body, 'latin1')}`);
  const content = hasContent && request.method !== 'HEAD' ? body : '';
  await connection.write(`HTTP/1.1 ${status} Scripted\r\n${headers.join('\r\n')}\r\n\r\n${content}`);
}

async function answerGrpc(connection: PeerConnection, status: string): Promise<void> {
  const head = 'HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ntransfer-encoding: chunked\r\n\r\n';
  const body = 'a\r\n\0\0\0\0\x05hello\r\n0\r\n';
  await connection.write(`${head}${body}grpc-status: ${status}\r\ngrpc-message: so it is\r\n\r\n`);
}

type RawAnswer = (connection: PeerConnection, headers: readonly string[]) => Promise<void> | void;

const rawAnswers: Readonly<Record<string, RawAnswer>> = {
  hang: async (connection) => void (await connection.closed),
  reset: (connection) => connection.reset(),
  close: (connection) => connection.end(),
  garbage: async (connection) => {
    await connection.write('this is not HTTP\r\n\r\n');
    connection.end();
  },
  'half-head': async (connection) => {
    await connection.write('HTTP/1.1 200 OK\r\nx-half: ');
    connection.end();
  },
  'half-body': async (connection, headers) => {
    await connection.write(
      `HTTP/1.1 200 OK\r\n${headers.join('\r\n')}\r\ncontent-length: 100\r\n\r\nten bytes.`,
    );
    connection.end();
  },
  chunked: async (connection, headers) => {
    const head = `HTTP/1.1 200 OK\r\n${headers.join('\r\n')}\r\ntransfer-encoding: chunked\r\n\r\n`;
    await connection.write(`${head}5;ext=1\r\nfirst\r\n6\r\nsecond\r\n0\r\n\r\n`);
  },
  'half-chunk': async (connection, headers) => {
    const head = `HTTP/1.1 200 OK\r\n${headers.join('\r\n')}\r\ntransfer-encoding: chunked\r\n\r\n`;
    await connection.write(`${head}5\r\nfirst\r\n6\r\nsec`);
    connection.end();
  },
  'bad-chunk': async (connection, headers) => {
    const head = `HTTP/1.1 200 OK\r\n${headers.join('\r\n')}\r\ntransfer-encoding: chunked\r\n\r\n`;
    await connection.write(`${head}5\r\nfirst\r\nzz\r\nsecond\r\n`);
    connection.end();
  },
  trailers: async (connection, headers) => {
    const head = `HTTP/1.1 200 OK\r\n${headers.join('\r\n')}\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n`;
    await connection.write(`${head}5\r\nfirst\r\n0\r\nx-sum: 1\r\n\r\n`);
  },
  'until-close': async (connection, headers) => {
    await connection.write(
      `HTTP/1.1 200 OK\r\n${headers.join('\r\n')}\r\nconnection: close\r\n\r\nuntil the end`,
    );
    connection.end();
  },
  'until-close-10': async (connection, headers) => {
    await connection.write(`HTTP/1.0 200 OK\r\n${headers.join('\r\n')}\r\n\r\nuntil the end`);
    connection.end();
  },
  hints: async (connection, headers) => {
    const hints = 'HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n';
    await connection.write(
      `${hints}HTTP/1.1 200 OK\r\n${headers.join('\r\n')}\r\ncontent-length: 4\r\n\r\ndone`,
    );
  },
  'two-lengths': async (connection) => {
    await connection.write('HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd');
    connection.end();
  },
  'length-and-chunked': async (connection) => {
    await connection.write(
      'HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
    );
    connection.end();
  },
  'connection-headers': async (connection, headers) => {
    const hop = 'connection: x-hop\r\nx-hop: 1\r\nkeep-alive: timeout=5\r\nproxy-authenticate: Basic';
    await connection.write(
      `HTTP/1.1 200 OK\r\n${headers.join('\r\n')}\r\n${hop}\r\ncontent-length: 2\r\n\r\nok`,
    );
  },
  upgrade: async (connection) => {
    await connection.write(
      'HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n',
    );
    for (let chunk = await connection.read(); chunk !== undefined; chunk = await connection.read()) {
      await connection.write(chunk);
    }
    connection.end();
  },
};
