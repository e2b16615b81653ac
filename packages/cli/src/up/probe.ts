/** One look at an application: does it answer, accept, call itself healthy, or does the command say so. */
import type { ReadinessCheck } from '@sluice/api';
import { probeByGrpc } from './probe-grpc.ts';
import type { ProbeResult } from './probe-result.ts';

export interface ProbeTarget {
  readonly check: ReadinessCheck;
  /** Port of the application where the check names none; undefined when it has no ports. */
  readonly port: number | undefined;
  readonly timeoutMs: number;
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
}

export type RunProbe = (target: ProbeTarget) => Promise<ProbeResult>;

const loopback = '127.0.0.1';
/** Bun's own code and the system's. */
const refusals: ReadonlySet<string> = new Set(['ConnectionRefused', 'ECONNREFUSED']);

export const runProbe: RunProbe = (target) => {
  const { check } = target;
  if (check.type === 'exec') return probeByCommand(check.argv, target);
  const port = check.port ?? target.port;
  if (port === undefined) return Promise.resolve({ isReady: true, reason: 'it has no port' });
  switch (check.type) {
    case 'http':
      return probeByHttp(check, port, target.timeoutMs);
    case 'grpc':
      return probeByGrpc(loopback, port, check.service, target.timeoutMs);
    case 'tcp':
      return probeByTcp(port, target.timeoutMs);
  }
};

async function probeByHttp(
  { path, headers }: Extract<ReadinessCheck, { type: 'http' }>,
  port: number,
  timeoutMs: number,
): Promise<ProbeResult> {
  const what = `GET ${path}`;
  try {
    const response = await fetch(`http://${loopback}:${port}${path.startsWith('/') ? path : `/${path}`}`, {
      headers: { ...headers, connection: 'close', 'user-agent': 'sluice-probe' },
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutMs),
    });
    await response.body?.cancel();
    return {
      isReady: response.status >= 200 && response.status < 400,
      reason: `${what}: ${response.status}`,
    };
  } catch (error) {
    return { isReady: false, reason: `${what}: ${describe(error, timeoutMs)}` };
  }
}

async function probeByTcp(port: number, timeoutMs: number): Promise<ProbeResult> {
  const { promise, resolve } = Promise.withResolvers<ProbeResult>();
  const what = `connect to ${port}`;
  const timer = setTimeout(
    () => resolve({ isReady: false, reason: `${what}: no answer in ${timeoutMs} ms` }),
    timeoutMs,
  );
  const connecting = Bun.connect({
    hostname: loopback,
    port,
    socket: {
      open: (socket) => {
        socket.end();
        resolve({ isReady: true, reason: `${what}: accepted` });
      },
      data: () => {},
      connectError: () => resolve({ isReady: false, reason: `${what}: refused` }),
    },
  });
  connecting.catch(() => resolve({ isReady: false, reason: `${what}: refused` }));
  const result = await promise;
  clearTimeout(timer);
  return result;
}

async function probeByCommand(
  argv: readonly string[],
  { timeoutMs, cwd, env }: ProbeTarget,
): Promise<ProbeResult> {
  const what = argv.join(' ');
  try {
    const child = Bun.spawn([...argv], {
      cwd,
      env,
      stdio: ['ignore', 'ignore', 'ignore'],
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
    });
    const code = await child.exited;
    if (child.signalCode !== null) return { isReady: false, reason: `${what}: no end in ${timeoutMs} ms` };
    return { isReady: code === 0, reason: `${what}: exited with ${code}` };
  } catch (error) {
    return { isReady: false, reason: `${what}: ${describe(error, timeoutMs)}` };
  }
}

function describe(error: unknown, timeoutMs: number): string {
  if (error instanceof Error && error.name === 'TimeoutError') return `no answer in ${timeoutMs} ms`;
  if (error instanceof Error && 'code' in error && refusals.has(String(error.code))) return 'refused';
  return error instanceof Error ? error.message : String(error);
}
