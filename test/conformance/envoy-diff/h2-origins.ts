/**
 * Endpoints that behave by the path they are asked for, one of HTTP/1.1 and one of HTTP/2, and write down
 * what reaches them.
 */
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { Socket } from 'bun';
import { onCleanUp } from '@sluice/testkit';

export interface Received {
  readonly method: string;
  readonly target: string;
  readonly authority: string;
  readonly fields: readonly string[];
  readonly body: string;
  readonly trailers: readonly string[];
}

export interface Origins {
  readonly h1: number;
  readonly h2: number;
  /** What came since the last call. */
  take(): Received[];
}

/** Fields that say when or by which hop, not what. */
const varying =
  /^(x-request-id|x-envoy-expected-rq-timeout-ms|date|server|x-forwarded-proto|x-envoy-upstream-service-time|x-sluice-reason|connection|transfer-encoding|keep-alive)$/;

export function fieldLines(fields: Iterable<readonly [string, unknown]>): string[] {
  const lines: string[] = [];
  for (const [name, value] of fields) {
    if (name.startsWith(':') || varying.test(name.toLowerCase())) continue;
    for (const one of Array.isArray(value) ? value : [value])
      lines.push(`${name.toLowerCase()}: ${String(one)}`);
  }
  return lines.toSorted();
}

export async function startOrigins(): Promise<Origins> {
  const received: Received[] = [];
  const h2 = await startH2((one) => void received.push(one));
  return { h1: startH1((one) => void received.push(one)), h2, take: () => received.splice(0) };
}

type Tell = (received: Received) => void;

async function startH2(tell: Tell): Promise<number> {
  const server = http2.createServer({ settings: { enableConnectProtocol: true } });
  const sessions = new Set<http2.ServerHttp2Session>();
  server.on('session', (session) => {
    sessions.add(session);
    session.on('error', () => {});
  });
  server.on('stream', (plain, headers) => {
    const stream = plain as http2.ServerHttp2Stream;
    let body = '';
    let trailers: string[] = [];
    stream.on('error', () => {});
    stream.on('trailers', (fields) => (trailers = fieldLines(Object.entries(fields))));
    stream.on('data', (chunk: Buffer) => (body += chunk.toString('latin1')));
    const path = String(headers[':path'] ?? '').split('?')[0];
    const note = (): void =>
      tell({
        method: String(headers[':method']),
        target: String(headers[':path'] ?? ''),
        authority: String(headers[':authority']),
        fields: fieldLines(Object.entries(headers)),
        body,
        trailers,
      });
    switch (path) {
      case '/early':
        stream.respond({ ':status': 413 });
        stream.end('early');
        note();
        return;
      case '/reset':
        stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
        note();
        return;
      case '/refuse':
        stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
        note();
        return;
      case '/half':
        stream.respond({ ':status': 200 });
        stream.write('half', () =>
          setTimeout(() => stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR), 20),
        );
        note();
        return;
      case '/cut':
        note();
        stream.session!.destroy();
        return;
      default:
    }
    stream.on('end', () => {
      note();
      if (path === '/hints') stream.additionalHeaders({ ':status': 103, link: '</a>' });
      if (path === '/trailers') {
        stream.respond({ ':status': 200, 'x-own': 'v' }, { waitForTrailers: true });
        stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '1', 'x-more': 'two' }));
        stream.end('body');
      } else if (path === '/204') stream.respond({ ':status': 204 }, { endStream: true });
      else if (path === '/304') stream.respond({ ':status': 304, etag: '"x"' }, { endStream: true });
      else if (headers[':method'] === 'HEAD')
        stream.respond({ ':status': 200, 'content-length': 5 }, { endStream: true });
      else {
        stream.respond({ ':status': 200, 'x-own': 'v', 'set-cookie': ['a=1', 'b=2'] });
        stream.end(`got ${body}`);
      }
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  onCleanUp(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

const chunked =
  'HTTP/1.1 200 OK\r\nx-own: v\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nx-sum: 1\r\nx-more: two\r\n\r\n';

function startH1(tell: Tell): number {
  const server = Bun.listen<{ text: string }>({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      open: (socket) => {
        socket.data = { text: '' };
      },
      data(socket, data) {
        socket.data.text += data.toString('latin1');
        while (readRequest(socket, tell));
      },
    },
  });
  onCleanUp(() => server.stop(true));
  return server.port;
}

/** One request off the text, answered; false when there is no whole one. */
function readRequest(socket: Socket<{ text: string }>, tell: Tell): boolean {
  const { text } = socket.data;
  const headEnd = text.indexOf('\r\n\r\n');
  if (headEnd < 0) return false;
  const [line = '', ...lines] = text.slice(0, headEnd).split('\r\n');
  const [method = '', target = ''] = line.split(' ');
  const pairs = lines.map(
    (one) => [one.slice(0, one.indexOf(':')), one.slice(one.indexOf(':') + 1).trim()] as const,
  );
  const value = (name: string): string | undefined => pairs.find(([key]) => key.toLowerCase() === name)?.[1];
  const path = target.split('?')[0] ?? '';
  const isEarly = ['/early', '/reset', '/half', '/cut'].includes(path);
  const content = isEarly
    ? { body: '', trailers: [], end: text.length }
    : readContent(text, headEnd + 4, value);
  if (content === null) return false;
  socket.data.text = text.slice(content.end);
  tell({
    method,
    target,
    authority: value('host') ?? '',
    fields: fieldLines(pairs.filter(([name]) => name.toLowerCase() !== 'host')),
    body: content.body,
    trailers: content.trailers,
  });
  if (path === '/reset' || path === '/cut') socket.terminate();
  else if (path === '/half') {
    socket.write('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf');
    setTimeout(() => socket.terminate(), 20);
  } else socket.write(answerOf(path, method, content.body));
  return true;
}

function answerOf(path: string, method: string, body: string): string {
  if (path === '/early') return 'HTTP/1.1 413 Too Large\r\ncontent-length: 5\r\n\r\nearly';
  if (path === '/trailers') return chunked;
  if (path === '/204') return 'HTTP/1.1 204 No Content\r\n\r\n';
  if (path === '/304') return 'HTTP/1.1 304 Not Modified\r\netag: "x"\r\n\r\n';
  if (method === 'HEAD') return 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n';
  const hints = path === '/hints' ? 'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n' : '';
  const content = `got ${body}`;
  return `${hints}HTTP/1.1 200 OK\r\nx-own: v\r\nset-cookie: a=1\r\nset-cookie: b=2\r\ncontent-length: ${content.length}\r\n\r\n${content}`;
}

function readContent(
  text: string,
  from: number,
  value: (name: string) => string | undefined,
): { body: string; trailers: string[]; end: number } | null {
  if (value('transfer-encoding') === undefined) {
    const end = from + Number(value('content-length') ?? 0);
    return text.length < end ? null : { body: text.slice(from, end), trailers: [], end };
  }
  let body = '';
  for (let at = from; ;) {
    const lineEnd = text.indexOf('\r\n', at);
    if (lineEnd < 0) return null;
    const size = Number.parseInt(text.slice(at, lineEnd), 16);
    if (size > 0) {
      body += text.slice(lineEnd + 2, lineEnd + 2 + size);
      at = lineEnd + 2 + size + 2;
      if (at > text.length) return null;
      continue;
    }
    const end = text.startsWith('\r\n', lineEnd + 2) ? lineEnd + 4 : text.indexOf('\r\n\r\n', lineEnd) + 4;
    if (end < 4 || end > text.length) return null;
    const lines = text
      .slice(lineEnd + 2, end)
      .split('\r\n')
      .filter(Boolean);
    return { body, trailers: lines.toSorted(), end };
  }
}
