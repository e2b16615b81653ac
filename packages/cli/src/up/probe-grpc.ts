/**
 * The gRPC health checking protocol as a probe: `grpc.health.v1.Health/Check` for a service, or for the whole
 * server by an empty name. The two messages have one field each, so they are written and read here by hand.
 */
import { connect, constants, type ClientHttp2Session } from 'node:http2';
import type { ProbeResult } from './probe-result.ts';

const METHOD = '/grpc.health.v1.Health/Check';
/** `HealthCheckResponse.ServingStatus`. */
const servingStatuses = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'] as const;
const SERVING = 1;
/** A health reply is a few octets; what sends more is no health service. */
const MAX_REPLY_BYTES = 4096;

export async function probeByGrpc(
  host: string,
  port: number,
  service: string,
  timeoutMs: number,
): Promise<ProbeResult> {
  const what = `grpc health of ${service === '' ? 'the server' : service}`;
  const { promise, resolve } = Promise.withResolvers<string>();
  const session = connect(`http://${host}:${port}`);
  const timer = setTimeout(() => resolve(`no answer in ${timeoutMs} ms`), timeoutMs);
  session.on('error', (error: NodeJS.ErrnoException) =>
    resolve(error.code === 'ECONNREFUSED' ? 'refused' : error.message),
  );
  session.on('close', () => resolve('the connection ended'));
  ask(session, service, timeoutMs, resolve);
  const outcome = await promise;
  clearTimeout(timer);
  session.destroy();
  return { isReady: outcome === servingStatuses[SERVING], reason: `${what}: ${outcome}` };
}

function ask(
  session: ClientHttp2Session,
  service: string,
  timeoutMs: number,
  tell: (outcome: string) => void,
): void {
  const request = session.request({
    ':method': 'POST',
    ':path': METHOD,
    'content-type': 'application/grpc',
    te: 'trailers',
    'grpc-timeout': `${timeoutMs}m`,
    'user-agent': 'sluice-probe',
  });
  const chunks: Buffer[] = [];
  let receivedBytes = 0;
  let status: string | undefined;
  const noteStatus = (fields: Readonly<Record<string, unknown>>): void => {
    const http = fields[constants.HTTP2_HEADER_STATUS];
    if (http !== undefined && http !== 200) status = `HTTP status ${String(http)}`;
    else if (fields['grpc-status'] !== undefined && fields['grpc-status'] !== '0')
      status = `grpc-status ${String(fields['grpc-status'])}`;
  };
  request.on('response', noteStatus);
  request.on('trailers', noteStatus);
  request.on('data', (chunk: Buffer) => {
    receivedBytes += chunk.length;
    if (receivedBytes <= MAX_REPLY_BYTES) chunks.push(chunk);
    else tell('the reply is too long');
  });
  request.on('end', () => tell(status ?? servingStatusIn(Buffer.concat(chunks))));
  request.on('error', (error) => tell(error.message));
  request.end(frame(requestOf(service)));
}

/** `HealthCheckRequest { string service = 1; }`; a default value is not written. */
function requestOf(service: string): Buffer {
  const name = Buffer.from(service);
  if (name.length === 0) return name;
  if (name.length > 127) throw new Error('names of services are at most 127 octets long');
  return Buffer.concat([Buffer.of(0x0a, name.length), name]);
}

function frame(message: Buffer): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** `HealthCheckResponse { ServingStatus status = 1; }`, in one message. */
function servingStatusIn(body: Buffer): string {
  const message = body.length < 5 ? undefined : body.subarray(5, 5 + body.readUInt32BE(1));
  if (message === undefined || message.length !== body.length - 5) return 'the reply is no message';
  if (message.length === 0) return servingStatuses[0];
  const status = message[0] === 0x08 && message.length === 2 ? servingStatuses[message[1]!] : undefined;
  return status ?? 'the reply is no health status';
}
