/** `sluice status`: whether every proxy has the latest configuration, and a refusing proxy's own words. */
import type { CommandContext } from '../context.ts';
import type { ApiClient } from '../mesh/api-client.ts';
import { exitStatus } from '../errors.ts';
import {
  viewPaths,
  type EdgeView,
  type InstanceView,
  type ProxyView,
  type SummaryView,
} from '../mesh/views.ts';
import { renderEdges, summarizeEdges } from '../output/edge-rows.ts';
import { readObserved } from '../output/observed-calls.ts';
import { renderAs } from '../output/structured.ts';
import { orNone, renderTable } from '../output/table.ts';
import type { Palette } from '../output/palette.ts';
import { connect } from './connect.ts';

/** In larger meshes the edges are too many to be counted for a glance. */
const summarizedInstances = 100;
const shownTypes = ['cds', 'eds', 'lds', 'rds'] as const;

export async function run(context: CommandContext): Promise<number> {
  const { args, out } = context;
  const { client } = connect(context);
  if (args.has('edges')) return showEdges(context, client);
  const [{ proxies }, { instances }, summary] = await Promise.all([
    client.get<{ proxies: readonly ProxyView[] }>(viewPaths.proxies),
    client.get<{ instances: readonly InstanceView[] }>(viewPaths.instances),
    client.get<SummaryView>(viewPaths.summary),
  ]);
  const wanted = args.positional[0];
  const namespace = args.text('namespace');
  const rows = statusRows(proxies, instances).filter((row) => isWanted(row, wanted, namespace));
  const format = args.text('output');
  if (format === 'json' || format === 'yaml')
    out.write(
      renderAs(format, {
        control: summary,
        proxies: rows.map(({ proxy, instance }) => ({
          ...proxy,
          registration: instance?.registration ?? null,
          isRevoked: instance?.isRevoked ?? false,
        })),
      }),
    );
  else {
    const head = [
      'NAME',
      'NAMESPACE',
      ...shownTypes.map((type) => type.toUpperCase()),
      'HEALTHY',
      'VERSION',
      'ADMIN',
    ];
    out.write(
      rows.length === 0
        ? 'no proxy is connected\n'
        : renderTable(
            head,
            rows.map((row) => cells(row)),
          ),
    );
    out.write(troubles(rows, summary, out.palette));
    if (instances.length > 0 && instances.length <= summarizedInstances) {
      const { edges } = await client.get<{ edges: readonly EdgeView[] }>(viewPaths.edges);
      out.write(`\n${summarizeEdges(edges, out.palette)} (status --edges shows each, and why)\n`);
    }
  }
  return rows.some(isTroubled) ? exitStatus.failed : exitStatus.done;
}

/** Configuration says how edges are secured; sidecars on this machine tell what they saw. */
async function showEdges({ args, out }: CommandContext, client: ApiClient): Promise<number> {
  const wanted = args.positional[0];
  const namespace = args.text('namespace');
  const query = new URLSearchParams({
    ...(wanted === undefined ? {} : { workload: wanted }),
    ...(namespace === undefined ? {} : { namespace }),
  });
  const [{ edges: shown }, { instances }] = await Promise.all([
    client.get<{ edges: readonly EdgeView[] }>(`${viewPaths.edges}?${query.toString()}`),
    client.get<{ instances: readonly InstanceView[] }>(viewPaths.instances),
  ]);
  const pages = await Promise.all(
    instances.map(async ({ instance, registration }) => ({
      instance,
      text: await statsPage(registration.adminPort),
    })),
  );
  const observed = readObserved(pages);
  const format = args.text('output');
  if (format === 'json' || format === 'yaml') {
    const seen = shown.map((edge) => ({ ...edge, callsSeen: observed.mutualTls(edge) }));
    const plaintextCallsSeen = Object.fromEntries(observed.plaintext);
    out.write(renderAs(format, { edges: seen, plaintextCallsSeen, connectionsRefused: observed.refused }));
  } else out.write(renderEdges(shown, observed, out.palette));
  return shown.some((edge) => edge.security === 'refused') ? exitStatus.failed : exitStatus.done;
}

const statsTimeoutMs = 2000;

/** Empty where the sidecar is on another machine, or too busy to answer. */
async function statsPage(adminPort: number): Promise<string> {
  try {
    const reply = await fetch(`http://127.0.0.1:${adminPort}/stats/prometheus`, {
      signal: AbortSignal.timeout(statsTimeoutMs),
    });
    return reply.ok ? await reply.text() : '';
  } catch {
    return '';
  }
}

export interface StatusRow {
  readonly name: string;
  readonly namespace: string;
  readonly proxy: ProxyView | undefined;
  readonly instance: InstanceView | undefined;
}

/** Every registered instance with a sidecar, connected or not, then proxies that nobody registered. */
export function statusRows(
  proxies: readonly ProxyView[],
  instances: readonly InstanceView[],
): readonly StatusRow[] {
  const unseen = new Map(proxies.map((proxy) => [proxy.instance ?? proxy.nodeId, proxy]));
  const rows: StatusRow[] = [];
  for (const instance of instances) {
    const proxy = unseen.get(instance.instance);
    unseen.delete(instance.instance);
    if (proxy === undefined && instance.registration.labels['sidecar.istio.io/inject'] === 'false') continue;
    rows.push({
      name: instance.registration.name,
      namespace: instance.registration.namespace,
      proxy,
      instance,
    });
  }
  for (const proxy of unseen.values())
    rows.push({
      name: proxy.instance ?? proxy.nodeId,
      namespace: proxy.namespace,
      proxy,
      instance: undefined,
    });
  return rows.sort((a, b) => (`${a.namespace}/${a.name}` < `${b.namespace}/${b.name}` ? -1 : 1));
}

/** A NACK, a proxy that should be there and is not, or one that may no longer be there. STALE passes by itself. */
export function isTroubled({ proxy, instance }: StatusRow): boolean {
  return (
    instance?.isRevoked === true || proxy === undefined || proxy.types.some(({ state }) => state === 'NACK')
  );
}

function cells({ name, namespace, proxy, instance }: StatusRow): readonly string[] {
  const states = shownTypes.map((type) => {
    const found = proxy?.types.find((one) => one.type === type);
    return proxy === undefined ? 'NOT CONNECTED' : (found?.state ?? 'NOT_SENT').replace('_', ' ');
  });
  const admin = instance?.registration.adminPort ?? proxy?.adminPort ?? null;
  return [
    name,
    orNone(namespace),
    ...states,
    instance === undefined ? '-' : healthCell(instance),
    proxy?.version || instance?.registration.version || '-',
    admin === null ? '-' : `127.0.0.1:${admin}`,
  ];
}

function healthCell({ isRevoked, isHealthy, healthMessage }: InstanceView): string {
  if (isRevoked) return `REVOKED: ${healthMessage}`;
  return isHealthy ? 'yes' : `no: ${healthMessage}`;
}

function troubles(rows: readonly StatusRow[], summary: SummaryView, palette: Palette): string {
  const lines = rows.flatMap(({ name, proxy }) =>
    (proxy?.types ?? [])
      .filter(({ state }) => state === 'NACK')
      .map(
        ({ type, error, nackedResources }) =>
          `${palette.bad('NACK')} ${name} refuses ${type.toUpperCase()} ${nackedResources.join(', ')}: ${error}`,
      ),
  );
  if (summary.isEvictionFrozen)
    lines.push(
      palette.warn(
        'more than half of all instances went silent at once: nothing is evicted until they return',
      ),
    );
  return lines.length === 0 ? '' : `\n${lines.join('\n')}\n`;
}

function isWanted(row: StatusRow, name: string | undefined, namespace: string | undefined): boolean {
  if (namespace !== undefined && row.namespace !== namespace) return false;
  if (name === undefined) return true;
  return (
    row.name === name ||
    row.instance?.registration.replicaOf === name ||
    row.instance?.instance === name ||
    row.proxy?.workload === name
  );
}
