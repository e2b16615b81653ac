/**
 * Serves admin, Prometheus (15090) and health (15021) over HTTP on the main thread.
 *
 * Bun.serve, not our own data path: admin must answer when the data path is what is broken. Admin binds
 * loopback or a Unix socket of mode 0600 and judges every request's origin; the other two are read-only
 * single pages and may listen wider. Pages are loaded with the first request for one.
 */
import { existsSync, lstatSync, rmSync } from 'node:fs';
import { accessPolicy, refusal, type AccessPolicy } from './access.ts';
import { textReply, type AdminReply, type AdminRequest } from './exchange.ts';
import type { AdminHandler } from './pages.ts';
import type { AdminSource } from './source.ts';

/** `127.0.0.1:15000`, `[::1]:15000` or a Unix socket's path. */
export type BindAddress =
  | { readonly kind: 'tcp'; readonly address: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

export interface AdminServer {
  /** The real one, where 0 was asked for; 0 on a Unix socket. */
  readonly port: number;
  stop(): Promise<void>;
}

/** Requests carry nothing but a query; a larger body is nobody we serve. */
const MAX_BODY_BYTES = 64 * 1024;
/** Seconds; the slowest page asks every loop. */
const IDLE_TIMEOUT_SECONDS = 30;

/** Throws when the address is taken, or is not loopback. */
export async function serveAdmin(bind: BindAddress, handler: AdminHandler): Promise<AdminServer> {
  if (bind.kind === 'tcp' && !isLoopback(bind.address)) {
    throw new Error(`admin may listen on loopback or a Unix socket only, not on ${bind.address}`);
  }
  const policy = accessPolicy(bind.kind === 'tcp' ? bind.address : '', bind.kind === 'unix');
  return serve(bind, async (request) => {
    const refused = refuse(request, policy);
    return refused ?? (await handler(requestOf(request)));
  });
}

/** `/stats/prometheus` and nothing else. */
export function servePrometheus(
  bind: BindAddress,
  source: Pick<AdminSource, 'metrics'>,
): Promise<AdminServer> {
  return serve(bind, async (request) => {
    const { method, path, query } = requestOf(request);
    const refused = readOnly(method, path, '/stats/prometheus');
    if (refused !== null) return refused;
    const { scrapePage } = await import('./pages.ts');
    return scrapePage(source.metrics, query);
  });
}

/** `/healthz/ready` and nothing else; what a kubelet or a load balancer asks. */
export function serveHealth(
  bind: BindAddress,
  source: Pick<AdminSource, 'state' | 'notReadyReason'>,
): Promise<AdminServer> {
  return serve(bind, async (request) => {
    const { method, path } = requestOf(request);
    const refused = readOnly(method, path, '/healthz/ready');
    if (refused !== null) return refused;
    const { readyPage } = await import('./pages.ts');
    return readyPage(source);
  });
}

function readOnly(method: string, path: string, only: string): AdminReply | null {
  if (path !== only) return textReply(`only ${only} is served here\n`, 404);
  if (method === 'GET' || method === 'HEAD') return null;
  return { ...textReply('only GET is allowed here\n', 405), headers: { allow: 'GET, HEAD' } };
}

async function serve(
  bind: BindAddress,
  answer: (request: Request) => Promise<AdminReply>,
): Promise<AdminServer> {
  const options: ServeOptions = {
    maxRequestBodySize: MAX_BODY_BYTES,
    development: false,
    fetch: async (request: Request) => responseOf(await answer(request)),
    error: () => new Response('internal error\n', { status: 500 }),
  };
  if (bind.kind === 'unix') return serveUnix(bind.path, options);
  const hostname = bind.address.replace(/^\[|\]$/g, '');
  const server = Bun.serve({ ...options, hostname, port: bind.port, idleTimeout: IDLE_TIMEOUT_SECONDS });
  return { port: server.port ?? bind.port, stop: () => server.stop(true) };
}

interface ServeOptions {
  readonly maxRequestBodySize: number;
  readonly development: false;
  readonly fetch: (request: Request) => Promise<Response>;
  readonly error: () => Response;
}

/** Mode 0600 from its first moment: the umask holds while the path is made. */
async function serveUnix(path: string, options: ServeOptions): Promise<AdminServer> {
  await removeAbandonedSocket(path);
  const umask = process.umask(0o177);
  try {
    const server = Bun.serve({ ...options, unix: path });
    return {
      port: 0,
      async stop() {
        await server.stop(true);
        rmSync(path, { force: true });
      },
    };
  } finally {
    process.umask(umask);
  }
}

/** A socket that nobody answers on is left over from a crash; a live one, or a file, is not touched. */
async function removeAbandonedSocket(path: string): Promise<void> {
  if (!existsSync(path)) return;
  if (!lstatSync(path).isSocket()) throw new Error(`${path} exists and is not a socket`);
  const isLive = await isAnswered(path);
  if (isLive) throw new Error(`${path} is in use by another process`);
  rmSync(path);
}

async function isAnswered(path: string): Promise<boolean> {
  try {
    const socket = await Bun.connect({ unix: path, socket: { data: () => undefined } });
    socket.terminate();
    return true;
  } catch {
    return false;
  }
}

function refuse(request: Request, policy: AccessPolicy): AdminReply | null {
  const { headers } = request;
  const why = refusal(
    { host: headers.get('host'), origin: headers.get('origin'), fetchSite: headers.get('sec-fetch-site') },
    policy,
  );
  return why === null ? null : textReply(`${why}\n`, 403);
}

function requestOf(request: Request): AdminRequest {
  const url = new URL(request.url);
  return { method: request.method, path: url.pathname, query: url.searchParams };
}

function responseOf(reply: AdminReply): Response {
  if (reply.afterwards !== undefined) setImmediate(reply.afterwards);
  return new Response(reply.body, {
    status: reply.status,
    headers: {
      'content-type': reply.contentType,
      'cache-control': 'no-cache, max-age=0',
      'x-content-type-options': 'nosniff',
      'content-security-policy': "default-src 'none'; form-action 'self'",
      ...reply.headers,
    },
  });
}

function isLoopback(address: string): boolean {
  const bare = address.replace(/^\[|\]$/g, '').toLowerCase();
  return bare === 'localhost' || bare === '::1' || /^127(\.\d{1,3}){3}$/.test(bare);
}
