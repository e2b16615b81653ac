/**
 * Clocks compared: certificates begin and end by them, and a machine that is minutes off refuses good ones. The
 * control plane tells its own time, a sidecar's is in the Date of its admin's answers.
 */
import type { InstanceView, SummaryView } from '../mesh/views.ts';
import type { CheckResult } from '../up/environment-checks.ts';

/** Certificates are backdated by 15 minutes; half a minute is a clock that nobody sets. */
const toleratedMs = 30_000;
const adminTimeoutMs = 2000;

export async function checkClocks(
  summary: Pick<SummaryView, 'now'>,
  instances: readonly InstanceView[],
  askedAtMs: number,
): Promise<CheckResult> {
  const controlOffMs = Date.parse(summary.now) - askedAtMs;
  const proxies = await Promise.all(instances.filter(hasSidecar).map((one) => proxyOffset(one)));
  const offsets = [
    { name: 'the control plane', offMs: controlOffMs },
    ...proxies.filter((one) => one !== null),
  ];
  const wrong = offsets.filter(({ offMs }) => Math.abs(offMs) > toleratedMs);
  const what = `clocks of the control plane and of ${proxies.filter((one) => one !== null).length} proxies agree`;
  if (wrong.length === 0) return { what, state: 'fine' };
  const found = wrong.map(({ name, offMs }) => `${name} is ${Math.round(offMs / 1000)} s off`);
  return {
    what,
    state: 'failed',
    hint: `${found.join('; ')} (certificates are judged by the clock: set it, or run a time service)`,
  };
}

function hasSidecar({ registration }: InstanceView): boolean {
  return registration.labels['sidecar.istio.io/inject'] !== 'false';
}

/** Null for a sidecar that does not answer: another line tells of that. */
async function proxyOffset({
  instance,
  registration,
}: InstanceView): Promise<{ readonly name: string; readonly offMs: number } | null> {
  try {
    const response = await fetch(`http://127.0.0.1:${registration.adminPort}/ready`, {
      signal: AbortSignal.timeout(adminTimeoutMs),
    });
    await response.body?.cancel();
    const toldMs = Date.parse(response.headers.get('date') ?? '');
    return Number.isNaN(toldMs) ? null : { name: instance, offMs: toldMs - Date.now() };
  } catch {
    return null; // Not reachable from here.
  }
}
