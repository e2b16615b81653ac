/**
 * The plain page of the mesh: what runs, what is reachable, whether every proxy has the latest configuration, and
 * what is wrong with which resource. Written whole by the server, works without scripts, refreshes itself.
 */
import { formatKey, formatProblem } from '@sluice/api';
import type { ProxyState } from '../../status/proxy-state.ts';
import type { InstanceView, MeshSummary, MeshViews, ResourceView, ServiceView } from '../mesh-views.ts';
import { edgeColumns, edgeRows, edgeSummary } from './edge-table.ts';
import { html, link, type Html } from './html.ts';
import { style } from './style.ts';

const refreshSeconds = 3;

/** Nothing is loaded and nothing runs: texts on this page come from workloads and files. */
export const pageHeaders: Readonly<Record<string, string>> = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy':
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-store',
};

export function renderPage(views: MeshViews): string {
  const summary = views.summary();
  const instances = views.instances();
  const resources = views.resources();
  const { xds, api, metrics } = summary.addresses;
  const page = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta http-equiv="refresh" content="${refreshSeconds}" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>Sluice</title>
        <style>
          ${{ html: style }}
        </style>
      </head>
      <body>
        <h1>Sluice</h1>
        <p class="quiet">
          version ${summary.version}, revision ${summary.revision}, since ${summary.startedAt}; xDS ${xds},
          API ${api}, metrics ${link(`http://${metrics}/metrics`, metrics)}
        </p>
        ${alarms(summary, resources)} ${workloads(instances, views.proxies())} ${services(views.services())}
        ${edges(views)} ${resourceTable(resources)} ${nextSteps(instances)}
      </body>
    </html> `;
  return page.html;
}

function alarms(summary: MeshSummary, resources: readonly ResourceView[]): Html | null {
  const frozen = summary.isEvictionFrozen
    ? html`<li>
        More than half of all instances went silent at once: nothing is evicted until they return, or until
        <code>POST /sluice/v1/release-eviction</code> says that they are gone.
      </li>`
    : null;
  const storage =
    summary.storageTrouble === null
      ? null
      : html`<li>
          ${summary.storageTrouble}. Changes are refused until then; traffic and what is configured go on.
        </li>`;
  const files = summary.fileProblems.map((problem) => html`<li>${formatProblem(problem)}</li>`);
  const broken = resources.filter(({ problems }) => problems.some(({ severity }) => severity === 'error'));
  const invalid =
    broken.length === 0
      ? null
      : html`<li>
          ${broken.length} of ${resources.length} resources are not valid; the last good generation of each is
          in use, where there was one.
        </li>`;
  const troubles = summary.troubles.shown.map(
    ({ name, reason, message, origin }) => html`<li>${name} (${origin}): ${reason}: ${message}</li>`,
  );
  const all = [storage, frozen, invalid, ...files, ...troubles].filter((item) => item !== null);
  if (all.length === 0) return null;
  return html`<section class="alarm">
    <h2>Needs attention</h2>
    <ul>
      ${all}
    </ul>
  </section>`;
}

function workloads(instances: readonly InstanceView[], proxies: readonly ProxyState[]): Html {
  const unseen = new Map(proxies.map((proxy) => [proxy.instance ?? proxy.nodeId, proxy]));
  const rows = instances.map((instance) => {
    const proxy = unseen.get(instance.instance);
    unseen.delete(instance.instance);
    return instanceRow(instance, proxy);
  });
  for (const proxy of unseen.values()) rows.push(foreignRow(proxy));
  return section('Workloads', ['Instance', 'Address', 'Ports', 'Health', 'Configuration', 'Sidecar'], rows);
}

function instanceRow(
  { instance, registration, isHealthy, healthMessage, isRevoked }: InstanceView,
  proxy: ProxyState | undefined,
): Html {
  const ports = registration.ports.map((port) => `${port.name} ${port.appPort}`).join(', ');
  const health = isHealthy
    ? html`<span class="good">healthy</span>`
    : html`<span class="bad">${isRevoked ? 'revoked' : 'not healthy'}: ${healthMessage}</span>`;
  return html`<tr>
    <td>${instance}</td>
    <td>${registration.address}</td>
    <td>${ports}</td>
    <td>${health}</td>
    <td>${syncState(proxy)}</td>
    <td>${adminLink(registration.adminPort)}</td>
  </tr>`;
}

/** A proxy that nobody registered: an Envoy or gRPC client of its own. */
function foreignRow(proxy: ProxyState): Html {
  return html`<tr>
    <td>${proxy.nodeId}</td>
    <td>${proxy.address}</td>
    <td></td>
    <td><span class="quiet">not registered</span></td>
    <td>${syncState(proxy)}</td>
    <td>${proxy.adminPort === null ? null : adminLink(proxy.adminPort)}</td>
  </tr>`;
}

function adminLink(port: number): Html {
  return link(`http://127.0.0.1:${port}/`, `admin ${port}`);
}

/** One word for a proxy that has everything; otherwise which types it lacks, and its words for refusing. */
function syncState(proxy: ProxyState | undefined): Html {
  if (proxy === undefined) return html`<span class="bad">not connected</span>`;
  const behind = proxy.types.filter((type) => type.state !== 'SYNCED' && type.state !== 'NOT_SENT');
  if (behind.length === 0) return html`<span class="good">SYNCED</span>`;
  const words = behind.map(
    ({ type, state, error }) => `${type.toUpperCase()} ${state}${error === '' ? '' : `: ${error}`}`,
  );
  return html`<span class="bad">${words.join('; ')}</span>`;
}

function services(all: readonly ServiceView[]): Html {
  const rows = all.map((service) => {
    const healthy = service.endpoints.filter((endpoint) => endpoint.isHealthy).length;
    const ports = service.ports.map((port) => `${port.number} ${port.protocol}`).join(', ');
    const alias = service.alias?.kind === 'service' ? ` → ${service.alias.hostname}` : '';
    return html`<tr>
      <td>${service.hostname}${alias}</td>
      <td>${service.namespace}</td>
      <td>${ports}</td>
      <td><span class="${healthy > 0 ? 'good' : 'bad'}">${healthy} of ${service.endpoints.length}</span></td>
    </tr>`;
  });
  return section('Services', ['Host', 'Namespace', 'Ports', 'Healthy endpoints'], rows);
}

/** Callers of which the page shows the edges: a larger mesh is asked by workload. */
const shownCallers = 50;

function edges(views: MeshViews): Html {
  const callers = new Set(
    views.instances().map(({ registration }) => registration.replicaOf ?? registration.name),
  );
  if (callers.size > shownCallers)
    return html`<section>
      <h2>Encryption</h2>
      <p>
        <code>sluice status --edges WORKLOAD</code> shows how the calls of a workload are secured, and why.
      </p>
    </section>`;
  const all = views.edges();
  return section(`Encryption: ${edgeSummary(all)}`, edgeColumns, edgeRows(all));
}

function resourceTable(resources: readonly ResourceView[]): Html {
  const rows = resources.map(
    (resource) =>
      html`<tr>
        <td>${formatKey(resource.key)}</td>
        <td>${resource.origin}</td>
        <td>${resourceState(resource)}</td>
      </tr>`,
  );
  return section('Resources', ['Resource', 'Origin', 'State'], rows);
}

function resourceState({ isServing, isCurrent, problems, conditions }: ResourceView): Html {
  const use = !isServing
    ? html`<span class="bad">not in use</span>`
    : isCurrent
      ? html`<span class="good">in use</span>`
      : html`<span class="bad">an older generation is in use</span>`;
  const failing = conditions
    .filter(({ type, status }) => status !== (type === 'Conflicted' ? 'False' : 'True'))
    .map(({ type, status, reason, message }) => html`<li>${type} ${status} (${reason}): ${message}</li>`);
  const texts = problems.map((problem) => html`<li>${formatProblem(problem)}</li>`);
  if (failing.length + texts.length === 0) return use;
  return html`${use}
    <ul>
      ${failing}${texts}
    </ul>`;
}

function nextSteps(instances: readonly InstanceView[]): Html {
  const named = instances[0]?.instance ?? 'INSTANCE';
  return html`<section>
    <h2>What to try next</h2>
    <ul>
      <li>
        <code>sluice get vs,dr,svc -A</code> lists what is configured;
        <code>sluice describe vs NAME</code> says what became of it.
      </li>
      <li>
        <code>sluice status</code> shows which proxy has which configuration;
        <code>sluice proxy-config routes ${named}</code> shows what is in it.
      </li>
      <li>
        Save a change in the folder of resources, or <code>sluice apply -f FILE</code>: it is live within a
        tenth of a second.
      </li>
    </ul>
  </section>`;
}

function section(title: string, columns: readonly string[], rows: readonly Html[]): Html {
  const head = columns.map((column) => html`<th>${column}</th>`);
  const none = html`<tr>
    <td colspan="${columns.length}" class="quiet">none</td>
  </tr>`;
  return html`<section>
    <h2>${title}</h2>
    <table>
      <thead>
        <tr>
          ${head}
        </tr>
      </thead>
      <tbody>
        ${rows.length === 0 ? none : rows}
      </tbody>
    </table>
  </section>`;
}
