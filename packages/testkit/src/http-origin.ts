/**
 * An HTTP/1.1 origin over a scripted TCP server: enough protocol to stand behind a proxy (keep-alive,
 * pipelining, Content-Length and chunked request bodies), and no more. It is not strict and must not be: it
 * records what arrived, byte for byte, so that tests can judge what a proxy sent. A real server with its
 * own opinions would hide that.
 */
import type { Origin } from './origin.ts';
import { startOrigin } from './origin.ts';
import type { PeerConnection } from './peer-connection.ts';

export interface OriginRequest {
  readonly method: string;
  readonly target: string;
  readonly version: string;
  /** In order, names as received. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** The head as it arrived, Latin-1, empty line included. */
  readonly rawHead: string;
  readonly body: Uint8Array;
  readonly trailers: readonly (readonly [name: string, value: string])[];
  /** Which connection it came on, counted from 0. */
  readonly connectionIndex: number;
  /** First value of a header, whatever its case. */
  header(name: string): string | undefined;
}

export interface OriginReply {
  /** Default 200. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
}

/** Answers a request; a script that writes to the connection itself answers undefined. */
export type OriginResponder = (
  request: OriginRequest,
  connection: PeerConnection,
) => OriginReply | undefined | Promise<OriginReply | undefined>;

export interface HttpOrigin extends Origin {
  /** Every request received whole so far, in order. */
  readonly requests: readonly OriginRequest[];
}

/** An origin that answers by `responder`; without one it describes the request as JSON. */
export function startHttpOrigin(responder: OriginResponder = describeRequest): HttpOrigin {
  const requests: OriginRequest[] = [];
  const origin = startOrigin(async (connection, index) => {
    for (;;) {
      const request = await readRequest(connection, index);
      if (request === undefined) break;
      requests.push(request);
      const reply = await responder(request, connection);
      if (reply !== undefined) await connection.write(encodeReply(reply, request.method));
      if (!connection.isOpen || wantsClose(request)) break;
    }
    connection.end();
  });
  return {
    port: origin.port,
    address: origin.address,
    connections: origin.connections,
    requests,
    get openCount() {
      return origin.openCount;
    },
    stopAccepting: () => origin.stopAccepting(),
    stop: () => origin.stop(),
  };
}

/** An origin that answers every request with one status. */
export function startStatusOrigin(status: number, body = `status ${status}\n`): HttpOrigin {
  return startHttpOrigin(() => ({ status, body }));
}

/** The bytes of a reply with Content-Length; none for HEAD and for statuses without a body. */
export function encodeReply(reply: OriginReply, method = 'GET'): Uint8Array {
  const { status = 200, headers = {}, body = '' } = reply;
  const bytes = Buffer.from(body as string);
  const isBodyless = status < 200 || status === 204 || status === 304;
  let head = `HTTP/1.1 ${status} ${reasons[status] ?? 'Status'}\r\n`;
  for (const [name, value] of Object.entries(headers)) head += `${name}: ${value}\r\n`;
  if (!isBodyless) head += `content-length: ${bytes.length}\r\n`;
  const headBytes = Buffer.from(`${head}\r\n`, 'latin1');
  return method === 'HEAD' || isBodyless ? headBytes : Buffer.concat([headBytes, bytes]);
}

/** The default reply: what the request looked like, as JSON. */
export function describeRequest(request: OriginRequest): OriginReply {
  const { method, target, version, headers, connectionIndex } = request;
  const body = Buffer.from(request.body).toString();
  return {
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ method, target, version, headers, body, connectionIndex }),
  };
}

const reasons: Readonly<Record<number, string>> = {
  100: 'Continue',
  200: 'OK',
  201: 'Created',
  204: 'No Content',
  301: 'Moved Permanently',
  302: 'Found',
  304: 'Not Modified',
  400: 'Bad Request',
  403: 'Forbidden',
  404: 'Not Found',
  409: 'Conflict',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
};

async function readRequest(connection: PeerConnection, index: number): Promise<OriginRequest | undefined> {
  const rawHead = await connection.readHead();
  if (rawHead === undefined) return undefined;
  const lines = rawHead.split('\r\n');
  const [method = '', target = '', version = ''] = (lines[0] ?? '').split(' ');
  const headers = parseFields(lines.slice(1));
  const header = (name: string): string | undefined =>
    headers.find(([key]) => key.toLowerCase() === name.toLowerCase())?.[1];
  if (header('expect')?.toLowerCase() === '100-continue')
    await connection.write('HTTP/1.1 100 Continue\r\n\r\n');
  const isChunked = header('transfer-encoding')?.toLowerCase().endsWith('chunked') ?? false;
  const payload = isChunked
    ? await readChunked(connection)
    : { body: await connection.readExactly(Number(header('content-length') ?? 0)), trailers: [] };
  const { body, trailers } = payload;
  // The peer went away in the middle: there is no whole request to record.
  if (body === undefined) return undefined;
  return { method, target, version, headers, rawHead, body, trailers, connectionIndex: index, header };
}

type Fields = readonly (readonly [string, string])[];

async function readChunked(connection: PeerConnection): Promise<{ body?: Uint8Array; trailers: Fields }> {
  const chunks: Uint8Array[] = [];
  for (;;) {
    const sizeLine = await connection.readThrough('\r\n');
    if (sizeLine === undefined) return { trailers: [] };
    const size = Number.parseInt(sizeLine, 16);
    if (!(size >= 0))
      throw new Error(`a chunk-size line that is none reached the origin: ${JSON.stringify(sizeLine)}`);
    if (size === 0) break;
    const chunk = await connection.readExactly(size + 2);
    if (chunk === undefined) return { trailers: [] };
    chunks.push(chunk.subarray(0, size));
  }
  const trailerLines: string[] = [];
  for (;;) {
    const line = await connection.readThrough('\r\n');
    if (line === undefined) return { trailers: [] };
    if (line === '\r\n') break;
    trailerLines.push(line.slice(0, -2));
  }
  return { body: Buffer.concat(chunks), trailers: parseFields(trailerLines) };
}

function parseFields(lines: readonly string[]): Fields {
  return lines
    .filter((line) => line !== '')
    .map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon), line.slice(colon + 1).trim()] as const;
    });
}

function wantsClose(request: OriginRequest): boolean {
  const connection = request.header('connection')?.toLowerCase() ?? '';
  return (
    connection.includes('close') || (request.version === 'HTTP/1.0' && !connection.includes('keep-alive'))
  );
}
