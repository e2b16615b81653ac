/**
 * A listening HTTP server of the control plane: binds, says clearly why it cannot, and closes. What is served is
 * the caller's. Addresses beyond loopback are refused until they can be protected by TLS.
 */
import { ApiError, failureBody } from './api/status-body.ts';
import { json } from './api/reply.ts';
import { localError } from '../errors.ts';
import { isLoopback } from './access.ts';
import { maxBodyBytes } from './body.ts';

export interface HttpServerOptions {
  /** `host:port`, `:port` or `port`; port 0 takes any free one. */
  readonly address: string;
  /** The flag that sets the address, for messages. */
  readonly flag: string;
  /** What is served, for messages. */
  readonly purpose: string;
  readonly fetch: (request: Request, holdOpen: () => void) => Promise<Response> | Response;
}

export interface HttpServer {
  /** `host:port` as bound. */
  readonly address: string;
  readonly port: number;
  close(): Promise<void>;
}

/** A silent connection is closed after this; watches hold themselves open. */
const idleTimeoutSeconds = 120;

export function parseAddress(
  address: string,
  flag: string,
): { readonly host: string; readonly port: number } {
  const match = /^(?:(?<host>\[[0-9a-fA-F:.]+\]|[^:\s]*):)?(?<port>\d{1,5})$/.exec(address);
  const port = Number(match?.groups?.['port'] ?? NaN);
  if (match === null || port > 65535) {
    throw localError(
      'address-invalid',
      `${flag} ${address} is not an address: write HOST:PORT, such as 127.0.0.1:15080`,
    );
  }
  const host = (match.groups?.['host'] ?? '').replace(/^\[|\]$/g, '');
  return { host: host === '' ? '127.0.0.1' : host, port };
}

/** Binds and serves. Throws one of the `address-…` errors. */
export function startHttpServer(options: HttpServerOptions): HttpServer {
  const { host, port } = parseAddress(options.address, options.flag);
  if (!isLoopback(host)) {
    throw localError(
      'address-not-protected',
      `${options.flag} ${options.address}: ${options.purpose} is served on loopback only, because it is not protected by TLS; use 127.0.0.1:${port}`,
    );
  }
  const server = listen(options, host, port);
  return {
    address: `${host.includes(':') ? `[${host}]` : host}:${server.port}`,
    port: server.port ?? port,
    close: () => server.stop(true),
  };
}

function listen(options: HttpServerOptions, hostname: string, port: number): Bun.Server<undefined> {
  try {
    return Bun.serve({
      hostname,
      port,
      idleTimeout: idleTimeoutSeconds,
      // Beyond our own limit, so that the reply to a body a little too large is our Status and not a bare 413.
      maxRequestBodySize: maxBodyBytes * 2,
      fetch: (request, server) => options.fetch(request, () => server.timeout(request, 0)),
      error: () => json(500, failureBody(new ApiError(500, 'the request failed inside the control plane'))),
    });
  } catch (error) {
    throw describeListenFailure(error, options, hostname, port);
  }
}

/** The address error that says what to do, or the error itself when it is none of those known. */
export function describeListenFailure(
  error: unknown,
  options: Pick<HttpServerOptions, 'flag' | 'purpose'>,
  host: string,
  port: number,
): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : '';
  if (code === 'EADDRINUSE') {
    return localError(
      'address-taken',
      `port ${port} on ${host} (${options.purpose}) is already in use; stop what uses it, or choose another with ${options.flag}`,
    );
  }
  if (code === 'EACCES') {
    return localError(
      'address-denied',
      `port ${port} on ${host} (${options.purpose}) may not be opened by this user; choose one from 1024 up with ${options.flag}`,
    );
  }
  if (code === 'EADDRNOTAVAIL') {
    return localError(
      'address-invalid',
      `${host} (${options.purpose}) is not an address of this machine; choose another with ${options.flag}`,
    );
  }
  return error;
}
