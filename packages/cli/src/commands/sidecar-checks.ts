/**
 * What sidecars count and nobody is told: connections that they closed at their limit, log lines that they dropped.
 * Counted since each sidecar started, so a finding says how many and not since when.
 */
import type { InstanceView } from '../mesh/views.ts';
import type { CheckResult } from '../up/environment-checks.ts';

interface Loss {
  readonly stat: RegExp;
  readonly what: string;
  readonly lost: string;
  readonly hint: string;
}

const losses: readonly Loss[] = [
  {
    stat: /^listener\.\S*\.downstream_cx_overflow: (\d+)$/gm,
    what: 'no sidecar has closed connections at its limit',
    lost: 'connections closed',
    hint: 'more open files allow more connections: ulimit -n, before the mesh is started',
  },
  {
    stat: /^sluice_access_log_dropped_total: (\d+)$/gm,
    what: 'no sidecar has dropped lines of its access log',
    lost: 'lines dropped',
    hint: 'the disk was full, or too slow',
  },
];
const timeoutMs = 2000;

/** Sidecars elsewhere, or too busy to answer, are passed over. */
export async function checkSidecars(instances: readonly InstanceView[]): Promise<readonly CheckResult[]> {
  const pages = await Promise.all(
    instances.map(async ({ instance, registration }) => ({
      instance,
      text: await statsOf(registration.adminPort),
    })),
  );
  return findLosses(pages);
}

export function findLosses(
  pages: readonly { readonly instance: string; readonly text: string }[],
): readonly CheckResult[] {
  return losses.map(({ stat, what, lost, hint }) => {
    const found = pages
      .map(({ instance, text }) => ({
        instance,
        count: [...text.matchAll(stat)].reduce((sum, [, count]) => sum + Number(count), 0),
      }))
      .filter(({ count }) => count > 0)
      .map(({ instance, count }) => `${instance}: ${count} ${lost}`);
    return found.length === 0
      ? { what, state: 'fine' }
      : { what, state: 'notice', hint: [...found, `(${hint})`].join('\n    ') };
  });
}

async function statsOf(adminPort: number): Promise<string> {
  try {
    const reply = await fetch(
      `http://127.0.0.1:${adminPort}/stats?filter=downstream_cx_overflow|access_log_dropped`,
      { signal: AbortSignal.timeout(timeoutMs) },
    );
    return reply.ok ? await reply.text() : '';
  } catch {
    return '';
  }
}
