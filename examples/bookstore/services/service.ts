/**
 * What the shop's services share: a server on PORT, calls to other services at the addresses that the environment
 * gives, and faults that the scenarios switch on
 * (`POST /fault`, and `POST /crash`, which ends the process without a goodbye). Nothing here knows of the mesh.
 */

export interface Reply {
  readonly status?: number;
  readonly body: unknown;
}

export interface Call {
  readonly url: URL;
  readonly request: Request;
  /** Headers that a service passes on to those it calls, so that routes and traces see the same user. */
  readonly passedOn: Record<string, string>;
}

export interface Outcome<T> {
  readonly status: number;
  readonly body: T | null;
  /** Why there is no body, in a few words. */
  readonly reason: string;
  readonly tookMs: number;
}

const passedOnNames = ['x-request-id', 'traceparent', 'tracestate', 'end-user', 'user-agent', 'cookie'];
/** How it is to misbehave; `POST /fault?delayMs=2000&failures=3&status=503` sets it, without parameters resets it. */
const fault = { delayMs: 0, failures: 0, status: 503 };

export const instance = process.env['SLUICE_INSTANCE'] ?? 'local';
export const version = process.env['SLUICE_VERSION'] ?? 'v1';

/** Serves `handle` on PORT, beside `/healthz` and `/fault`. */
export function serve(name: string, handle: (call: Call) => Promise<Reply | Response>): void {
  const port = Number(process.env['PORT'] ?? 0);
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port,
    async fetch(request) {
      const url = new URL(request.url);
      if (url.pathname === '/healthz') return new Response('ok\n');
      if (url.pathname === '/fault' && request.method === 'POST') return setFault(url.searchParams);
      if (url.pathname === '/crash' && request.method === 'POST') process.exit(1);
      const failure = await misbehave();
      if (failure !== null) return failure;
      const reply = await handle({ url, request, passedOn: passedOn(request) });
      if (reply instanceof Response) return reply;
      return Response.json(reply.body, { status: reply.status ?? 200 });
    },
  });
  console.log(`${name} ${version} listens on ${server.port}`);
  const stop = async (): Promise<void> => {
    await server.stop();
    process.exit(0);
  };
  process.on('SIGTERM', () => void stop());
}

/** Calls `http://SERVICE/path` at the address of SERVICE_SERVICE_HOST and _PORT. Never throws. */
export async function call<T>(
  service: string,
  path: string,
  headers: Record<string, string>,
): Promise<Outcome<T>> {
  const startMs = performance.now();
  const prefix = service.toUpperCase().replaceAll('-', '_');
  const host = process.env[`${prefix}_SERVICE_HOST`] ?? '127.0.0.1';
  const port = process.env[`${prefix}_SERVICE_PORT`] ?? '1';
  const tookMs = (): number => Math.round(performance.now() - startMs);
  try {
    const response = await fetch(`http://${host}:${port}${path}`, { headers });
    const text = await response.text();
    const reason = response.headers.get('x-sluice-reason') ?? response.statusText;
    const body = response.ok ? (JSON.parse(text) as T) : null;
    return { status: response.status, body, reason, tookMs: tookMs() };
  } catch (error) {
    return {
      status: 0,
      body: null,
      reason: error instanceof Error ? error.message : String(error),
      tookMs: tookMs(),
    };
  }
}

function passedOn(request: Request): Record<string, string> {
  return Object.fromEntries(
    passedOnNames.flatMap((name) => {
      const value = request.headers.get(name);
      return value === null ? [] : [[name, value]];
    }),
  );
}

function setFault(query: URLSearchParams): Response {
  fault.delayMs = Number(query.get('delayMs') ?? 0);
  fault.failures = Number(query.get('failures') ?? 0);
  fault.status = Number(query.get('status') ?? 503);
  return Response.json({ instance, ...fault });
}

async function misbehave(): Promise<Response | null> {
  if (fault.delayMs > 0) await Bun.sleep(fault.delayMs);
  if (fault.failures <= 0) return null;
  fault.failures--;
  return new Response(`${instance} fails on purpose\n`, { status: fault.status });
}
