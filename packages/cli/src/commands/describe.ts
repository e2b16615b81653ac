/** `sluice describe`: one resource in words: what it says, what became of it, and what proxies say about it. */
import { formatKey, formatProblem, keyOf, type KubeObject } from '@sluice/api';
import type { CommandContext } from '../context.ts';
import { cliError, exitStatus } from '../errors.ts';
import {
  viewPaths,
  type EdgeView,
  type ProxyView,
  type ResourceView,
  type ServiceView,
} from '../mesh/views.ts';
import { conditionSections, findingLines } from '../output/condition-sections.ts';
import { groupEdges, securityNames, serviceName } from '../output/edge-rows.ts';
import { describeSecret, isSecret } from '../output/secret-text.ts';
import { renderYaml } from '../output/structured.ts';
import { cleanCell } from '../output/table.ts';
import { connect, type Connection } from './connect.ts';
import { readNamespace, readResourceRefs } from './resource-args.ts';

export interface DescribedResource {
  readonly object: KubeObject;
  readonly view: ResourceView | undefined;
  readonly service: ServiceView | undefined;
  readonly proxies: readonly ProxyView[];
  /** Connections that it decides about. */
  readonly edges: readonly EdgeView[];
}

export async function run(context: CommandContext): Promise<number> {
  const { args, out } = context;
  const refs = readResourceRefs(args.positional);
  const namespace = readNamespace(args);
  const connection = connect(context);
  const { client, kube } = connection;
  const decides = refs.some(({ kind }) => decidingKinds.has(kind.kind));
  const facts = await readFacts(connection, decides);
  const texts: string[] = [];
  for (const { kind, name } of refs) {
    if (name !== undefined && namespace === undefined)
      throw cliError('usage', 'a name is looked up in one namespace: leave out -A, or give -n');
    const objects =
      name === undefined
        ? (await kube.list(kind, { namespace, selector: args.text('selector') })).items
        : [await kube.get(kind, namespace ?? '', name)];
    for (const object of objects) texts.push(renderDescription(factsAbout(object, facts)));
  }
  if (texts.length === 0) out.writeError(`nothing found at ${client.url}\n`);
  out.write(texts.join('\n'));
  return exitStatus.done;
}

interface Facts {
  readonly resources: readonly ResourceView[];
  readonly services: readonly ServiceView[];
  readonly proxies: readonly ProxyView[];
  readonly edges: readonly EdgeView[];
}

/** Kinds that decide how calls are secured. */
const decidingKinds: ReadonlySet<string> = new Set(['PeerAuthentication', 'DestinationRule']);

async function readFacts({ client }: Connection, needsEdges: boolean): Promise<Facts> {
  const [{ resources }, { services }, { proxies }, { edges }] = await Promise.all([
    client.get<Pick<Facts, 'resources'>>(viewPaths.resources),
    client.get<Pick<Facts, 'services'>>(viewPaths.services),
    client.get<Pick<Facts, 'proxies'>>(viewPaths.proxies),
    needsEdges ? client.get<Pick<Facts, 'edges'>>(viewPaths.edges) : { edges: [] },
  ]);
  return { resources, services, proxies, edges };
}

function factsAbout(object: KubeObject, { resources, services, proxies, edges }: Facts): DescribedResource {
  const key = formatKey(keyOf(object));
  return {
    object,
    view: resources.find((resource) => formatKey(resource.key) === key),
    service:
      object.kind === 'Service'
        ? services.find(
            (one) => one.name === object.metadata.name && one.namespace === object.metadata.namespace,
          )
        : undefined,
    proxies,
    edges: edges.filter((edge) => edge.reason.split(/[ ;,]+/).includes(key)),
  };
}

export function renderDescription({ object, view, service, proxies, edges }: DescribedResource): string {
  const { metadata, status: _status, apiVersion, kind, ...content } = object;
  const lines = [
    `Name:        ${metadata.name}`,
    ...(metadata.namespace === undefined ? [] : [`Namespace:   ${metadata.namespace}`]),
    `Kind:        ${kind} (${apiVersion})`,
    ...(view === undefined ? [] : [`Origin:      ${view.origin}`, `In use:      ${describeUse(view)}`]),
    ...(metadata.creationTimestamp === undefined ? [] : [`First seen:  ${metadata.creationTimestamp}`]),
    ...aliasLines(service?.alias),
    ...mapLines('Labels', metadata.labels),
    ...mapLines('Annotations', withoutLastApplied(metadata.annotations)),
  ];
  const sections = [
    block(
      'Content',
      renderYaml(isSecret(object) ? describeSecret(object) : (content['spec'] ?? content))
        .trimEnd()
        .split('\n'),
    ),
    block(
      'Endpoints',
      (service?.endpoints ?? []).map(
        (one) =>
          `${one.address}:${one.port ?? '-'}  ${one.workload}  ${one.isHealthy ? 'healthy' : 'not healthy'}`,
      ),
    ),
    ...conditionSections(object, view?.conditions ?? []).map(({ title, lines: shown }) =>
      block(title, shown),
    ),
    block(
      'Problems',
      (view?.problems ?? []).map((problem) => formatProblem(problem)),
    ),
    block('Findings', findingLines(object, view?.problems ?? [])),
    block(
      'Decides',
      groupEdges(edges).map(
        ({ clients, edge }) =>
          `${clients} → ${serviceName(edge)}  ${securityNames[edge.security]}: ${edge.reason}`,
      ),
    ),
    block('Refused by', refusals(object, proxies)),
  ];
  return `${lines.map(cleanCell).join('\n')}\n${sections.join('')}`;
}

/** What the name of an ExternalName means in the mesh. */
function aliasLines(alias: ServiceView['alias']): readonly string[] {
  if (!alias) return [];
  const words =
    alias.kind === 'service'
      ? `${alias.hostname} (its ports, routes, policies and endpoints)`
      : `nothing: ${alias.through.join(' → ')} goes in a circle`;
  return [`Alias of:    ${words}`];
}

/** Proxies that refuse a configuration naming the resource's host or itself. */
function refusals(object: KubeObject, proxies: readonly ProxyView[]): readonly string[] {
  const spec = (object['spec'] ?? {}) as { readonly host?: unknown; readonly hosts?: unknown };
  const hosts = [spec.host, ...(Array.isArray(spec.hosts) ? spec.hosts : [])].filter(
    (host) => typeof host === 'string',
  );
  const names = [object.metadata.name, ...hosts];
  return proxies.flatMap((proxy) =>
    proxy.types
      .filter(
        ({ state, error, nackedResources }) =>
          state === 'NACK' &&
          names.some((name) => error.includes(name) || nackedResources.some((one) => one.includes(name))),
      )
      .map(({ type, error }) => `${proxy.instance ?? proxy.nodeId} (${type.toUpperCase()}): ${error}`),
  );
}

function describeUse({ isServing, isCurrent, generation }: ResourceView): string {
  if (!isServing) return 'no';
  return isCurrent
    ? `yes (generation ${generation})`
    : `an older generation than ${generation}, because the present one has errors`;
}

function mapLines(name: string, values: Readonly<Record<string, string>> | undefined): readonly string[] {
  const entries = Object.entries(values ?? {});
  return entries.map(([key, value], index) => `${(index === 0 ? `${name}:` : '').padEnd(13)}${key}=${value}`);
}

function withoutLastApplied(
  annotations: Readonly<Record<string, string>> | undefined,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(annotations ?? {}).filter(([name]) => !name.startsWith('kubectl.kubernetes.io/')),
  );
}

function block(title: string, lines: readonly string[]): string {
  return lines.length === 0
    ? ''
    : `${title}:\n${lines.map((line) => `  ${line.replaceAll(/[\p{Cc}]+/gu, ' ')}\n`).join('')}`;
}
