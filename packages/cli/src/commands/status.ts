/** `sluice status`: whether every proxy has the latest configuration, and a refusing proxy's own words. */
import { formatProblem } from '@sluice/api';
import type { CommandContext } from '../context.ts';
import { cliError, exitStatus, hasCliCode } from '../errors.ts';
import { lookTimeoutMs, type ApiClient } from '../mesh/api-client.ts';
import { askSidecar, localSidecars, type LocalSidecar } from '../mesh/local-sidecars.ts';
import {
  viewPaths,
  type EdgeView,
  type InstanceView,
  type ProxyView,
  type SummaryView,
} from '../mesh/views.ts';
import { describeSpan } from '../output/certificate-rows.ts';
import { renderEdges, summarizeEdges } from '../output/edge-rows.ts';
import { nameHint } from '../output/name-hint.ts';
import { readObserved } from '../output/observed-calls.ts';
import { renderAs } from '../output/structured.ts';
import { orNone, renderTable } from '../output/table.ts';
import type { Palette } from '../output/palette.ts';
import { connect } from './connect.ts';

/** In larger meshes the edges are too many to be counted for a glance. */
const summarizedInstances = 100;
const shownTypes = ['cds', 'eds', 'lds', 'rds'] as const;
const head = ['NAME', 'NAMESPACE', 'SYNC', 'HEALTHY', 'VERSION', 'ADMIN'];
const wideHead = [
  'NAME',
  'NAMESPACE',
  ...shownTypes.map((type) => type.toUpperCase()),
  'HEALTHY',
  'VERSION',
  'ADMIN',
];
/** Resources and files that `status` names before it counts the rest. */
const shownTroubles = 10;

export async function run(context: CommandContext): Promise<number> {
  const { args, out } = context;
  const { client, mesh } = connect(context);
  if (args.has('edges')) return showEdges(context, client);
  const sidecars = localSidecars(mesh.stateDir);
  try {
    return await showStatus(context, client);
  } catch (error) {
    if (!hasCliCode(error, 'control-unreachable') || sidecars.length === 0 || args.has('output')) throw error;
    out.writeError(`${out.palette.bad('error')}: ${error.message}\n`);
    out.write(await renderSidecars(sidecars, out.columns));
    return exitStatus.failed;
  }
}

/** What the sidecars say of themselves, while nobody can say what they should have. */
async function renderSidecars(sidecars: readonly LocalSidecar[], columns: number): Promise<string> {
  const now = new Date().toISOString();
  const rows = await Promise.all(
    sidecars.map(async (sidecar) => {
      const { state, certificateEndsMs } = await askSidecar(sidecar, statsTimeoutMs);
      return [
        sidecar.name,
        state,
        certificateEndsMs === undefined ? '-' : certificateCell(now, certificateEndsMs),
        `127.0.0.1:${sidecar.adminPort}`,
      ];
    }),
  );
  return `\n${renderTable(['SIDECAR', 'STATE', 'CERTIFICATE ENDS', 'ADMIN'], rows, columns)}`;
}

/** After its end every call by mutual TLS is refused. */
function certificateCell(now: string, endsMs: number): string {
  const span = describeSpan(now, new Date(endsMs).toISOString());
  return endsMs < Date.parse(now) ? `EXPIRED ${span}` : span;
}

async function showStatus({ args, out }: CommandContext, client: ApiClient): Promise<number> {
  const limit = { timeoutMs: lookTimeoutMs };
  const [{ proxies }, { instances }, summary] = await Promise.all([
    client.get<{ proxies: readonly ProxyView[] }>(viewPaths.proxies, limit),
    client.get<{ instances: readonly InstanceView[] }>(viewPaths.instances, limit),
    client.get<SummaryView>(viewPaths.summary, limit),
  ]);
  const wanted = args.positional[0];
  const namespace = args.text('namespace');
  const every = statusRows(proxies, instances);
  const rows = every.filter((row) => isWanted(row, wanted, namespace));
  if (wanted !== undefined && rows.length === 0) throw unknownWorkload(wanted, namespace, every);
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
    const isWide = format === 'wide';
    out.write(
      rows.length === 0
        ? `no proxy is connected${namespace === undefined ? '' : ` in namespace ${namespace}`}\n`
        : renderTable(
            isWide ? wideHead : head,
            rows.map((row) => statusCells(row, isWide)),
            out.columns,
          ),
    );
    out.write(troubles(rows, summary, out.palette));
    if (rows.length === every.length && instances.length > 0 && instances.length <= summarizedInstances) {
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
  } else out.write(renderEdges(shown, observed, out));
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

/** What is wrong with a troubled row, in words. */
export function troubleOf({ name, proxy, instance }: StatusRow): string {
  if (instance?.isRevoked === true) return `${name}: its certificate is revoked`;
  if (proxy === undefined) return `${name} is not connected ("sluice logs --proxy ${name}" says why)`;
  const refused = proxy.types.filter(({ state }) => state === 'NACK');
  return refused.map(({ type, error }) => `${name} refuses ${type.toUpperCase()}: ${error}`).join('; ');
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

/** Cells of a row; with `isWide` a column for each type. */
export function statusCells(
  { name, namespace, proxy, instance }: StatusRow,
  isWide: boolean,
): readonly string[] {
  const admin = instance?.registration.adminPort ?? proxy?.adminPort ?? null;
  return [
    name,
    orNone(namespace),
    ...(isWide ? shownTypes.map((type) => stateOf(proxy, type)) : [syncCell(proxy)]),
    instance === undefined ? '-' : healthCell(instance),
    proxy?.version || instance?.registration.version || '-',
    admin === null ? '-' : `127.0.0.1:${admin}`,
  ];
}

function stateOf(proxy: ProxyView | undefined, type: string): string {
  if (proxy === undefined) return 'NOT CONNECTED';
  return (proxy.types.find((one) => one.type === type)?.state ?? 'NOT_SENT').replace('_', ' ');
}

/** One word for a proxy that has everything; otherwise which types it lacks. */
function syncCell(proxy: ProxyView | undefined): string {
  if (proxy === undefined) return 'NOT CONNECTED';
  const behind = proxy.types.filter(({ state }) => state === 'NACK' || state === 'STALE');
  if (behind.length === 0) return proxy.types.some(({ state }) => state === 'SYNCED') ? 'SYNCED' : 'NOT SENT';
  return behind.map(({ type, state }) => `${state} ${type.toUpperCase()}`).join(', ');
}

function unknownWorkload(name: string, namespace: string | undefined, all: readonly StatusRow[]): Error {
  const known = [...new Set(all.filter((row) => isWanted(row, undefined, namespace)).map((row) => row.name))];
  return cliError('usage', `no proxy belongs to "${name}": ${nameHint(name, known)}`);
}

function healthCell({ isRevoked, isHealthy, healthMessage }: InstanceView): string {
  if (isRevoked) return `REVOKED: ${healthMessage}`;
  return isHealthy ? 'yes' : `no: ${healthMessage}`;
}

function troubles(rows: readonly StatusRow[], summary: SummaryView, palette: Palette): string {
  const lines = rows.flatMap(({ name, proxy }) =>
    (proxy?.types ?? [])
      .filter(({ state }) => state === 'NACK')
      .map(({ type, error, nackedResources }) => {
        // Most proxies name what they refuse themselves.
        const unnamed = nackedResources.filter((resource) => !error.includes(resource));
        const what = [type.toUpperCase(), unnamed.join(', ')].filter((part) => part !== '').join(' ');
        return `${palette.bad('NACK')} ${name} refuses ${what}: ${error}`;
      }),
  );
  if (summary.storageTrouble !== null)
    lines.push(
      `${palette.bad('state')} ${summary.storageTrouble}: changes are refused, what is configured goes on`,
    );
  if (summary.isEvictionFrozen)
    lines.push(
      palette.warn(
        'more than half of all instances went silent at once: nothing is evicted until they return',
      ),
    );
  lines.push(...configurationTroubles(summary, palette));
  return lines.length === 0 ? '' : `\n${lines.join('\n')}\n`;
}

/** What the configuration itself has wrong: a proxy in step with it is in step with that, too. */
export function configurationTroubles(
  { fileProblems, troubles: resources }: Pick<SummaryView, 'fileProblems' | 'troubles'>,
  palette: Palette,
): readonly string[] {
  const ofFiles = fileProblems
    .filter(({ severity }) => severity === 'error')
    .map((problem) => `${palette.bad('file')} ${formatProblem(problem)}`);
  const ofResources = resources.shown.map(
    ({ name, reason, message }) => `${palette.bad('resource')} ${name}: ${reason}: ${message}`,
  );
  const lines = [...ofFiles, ...ofResources];
  const more = ofFiles.length + resources.total - shownTroubles;
  return more <= 0
    ? lines
    : [...lines.slice(0, shownTroubles), `and ${more} more: "sluice check" counts, the mesh page lists them`];
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
