/**
 * Tables of a proxy's configuration in the columns that istioctl's users know, from Envoy's `/config_dump` and
 * `/clusters`. Reads Envoy's dumps as well as ours; what is missing there is an empty cell.
 */

export interface ConfigRow {
  readonly cells: readonly string[];
  /** What the row is drawn from, for -o json. */
  readonly source: object;
}

export interface ConfigRows {
  readonly head: readonly string[];
  readonly rows: readonly ConfigRow[];
}

type Fields = Readonly<Record<string, unknown>>;

export function clusterRows(dump: unknown): ConfigRows {
  const clusters = entriesOf(
    dump,
    'ClustersConfigDump',
    ['static_clusters', 'dynamic_active_clusters', 'dynamic_warming_clusters'],
    'cluster',
  );
  const rows = clusters.map((cluster): ConfigRow => {
    const name = text(cluster['name']);
    const [direction = '', port = '', subset = '', host = ''] = name.split('|');
    const isNamed = name.split('|').length === 4;
    const rule = text(at(cluster, 'metadata', 'filter_metadata', 'istio', 'config'));
    return {
      cells: [
        isNamed ? host || '-' : name,
        isNamed ? port : '-',
        isNamed ? subset || '-' : '-',
        isNamed ? direction : '-',
        typeOf(cluster),
        ruleName(rule),
      ],
      source: cluster,
    };
  });
  return {
    head: ['SERVICE FQDN', 'PORT', 'SUBSET', 'DIRECTION', 'TYPE', 'DESTINATION RULE'],
    rows: byCells(rows),
  };
}

export function listenerRows(dump: unknown): ConfigRows {
  const listeners = dumpsOf(dump, 'ListenersConfigDump').flatMap((part) => [
    ...list(part['static_listeners']).map((entry) => fields(entry['listener'])),
    ...list(part['dynamic_listeners']).map((entry) =>
      fields(at(entry, 'active_state', 'listener') ?? at(entry, 'warming_state', 'listener')),
    ),
  ]);
  const rows = listeners.filter(hasName).flatMap((listener) => {
    const address = text(at(listener, 'address', 'socket_address', 'address'));
    const port = text(at(listener, 'address', 'socket_address', 'port_value'));
    const chains = [
      ...list(listener['filter_chains']),
      ...[fields(listener['default_filter_chain'])].filter((chain) => Object.keys(chain).length > 0),
    ];
    return chains.map((chain): ConfigRow => ({
      cells: [address, port, chainMatch(chain), chainDestination(chain)],
      source: listener,
    }));
  });
  return { head: ['ADDRESSES', 'PORT', 'MATCH', 'DESTINATION'], rows: byCells(rows) };
}

export function routeRows(dump: unknown): ConfigRows {
  const tables = entriesOf(
    dump,
    'RoutesConfigDump',
    ['static_route_configs', 'dynamic_route_configs'],
    'route_config',
  );
  const rows = tables.flatMap((table) =>
    list(table['virtual_hosts']).flatMap((host) =>
      list(host['routes']).map((route): ConfigRow => ({
        cells: [
          text(table['name']),
          text(host['name']),
          domains(host),
          routeMatch(fields(route['match'])),
          routeTarget(route),
          ruleName(text(at(route, 'metadata', 'filter_metadata', 'istio', 'config'))),
        ],
        source: { routeConfig: table['name'], virtualHost: host['name'], ...route },
      })),
    ),
  );
  return { head: ['NAME', 'VHOST NAME', 'DOMAINS', 'MATCH', 'DESTINATION', 'VIRTUAL SERVICE'], rows };
}

export function endpointRows(page: unknown): ConfigRows {
  const rows = list(fields(page)['cluster_statuses']).flatMap((cluster) =>
    list(cluster['host_statuses']).map((host): ConfigRow => {
      const address = fields(at(host, 'address', 'socket_address'));
      const health = fields(host['health_status']);
      const endpoint =
        address['address'] === undefined
          ? text(at(host, 'address', 'pipe', 'path'))
          : `${text(address['address'])}:${text(address['port_value'])}`;
      const isEjected = health['failed_outlier_check'] === true;
      return {
        cells: [
          endpoint,
          text(health['eds_health_status']) || 'HEALTHY',
          isEjected ? 'FAILED' : 'OK',
          text(cluster['name']),
        ],
        source: { cluster: cluster['name'], ...host },
      };
    }),
  );
  return { head: ['ENDPOINT', 'STATUS', 'OUTLIER CHECK', 'CLUSTER'], rows: byCells(rows) };
}

function typeOf(cluster: Fields): string {
  return text(cluster['type']) || text(at(cluster, 'cluster_type', 'name')) || 'STATIC';
}

function chainMatch(chain: Fields): string {
  const match = fields(chain['filter_chain_match']);
  const parts = [
    ...texts(match['server_names']).map((name) => `SNI: ${name}`),
    ...(match['transport_protocol'] === undefined ? [] : [`Trans: ${text(match['transport_protocol'])}`]),
    ...(texts(match['application_protocols']).length === 0
      ? []
      : [`App: ${texts(match['application_protocols']).join(',')}`]),
    ...(match['destination_port'] === undefined ? [] : [`Port: ${text(match['destination_port'])}`]),
  ];
  return parts.length === 0 ? 'ALL' : parts.join('; ');
}

function chainDestination(chain: Fields): string {
  for (const filter of list(chain['filters'])) {
    const config = fields(filter['typed_config']);
    const rds = text(at(config, 'rds', 'route_config_name'));
    if (rds !== '') return `Route: ${rds}`;
    const inline = fields(config['route_config']);
    if (Object.keys(inline).length > 0) return `Inline Route: ${text(inline['name'])}`;
    if (config['cluster'] !== undefined) return `Cluster: ${text(config['cluster'])}`;
    if (config['weighted_clusters'] !== undefined)
      return `Cluster: ${weighted(fields(config['weighted_clusters']))}`;
  }
  return 'Non-HTTP/Non-TCP';
}

function routeMatch(match: Fields): string {
  const path = ['prefix', 'path', 'path_separated_prefix']
    .map((name) => text(match[name]))
    .find((value) => value !== '');
  const regex = text(at(match, 'safe_regex', 'regex'));
  const rest = match['connect_matcher'] === undefined ? '/*' : 'CONNECT';
  const shown = path ?? (regex === '' ? rest : `regex ${regex}`);
  const isPrefix = match['prefix'] !== undefined;
  const headers = list(match['headers']).map((header) => text(header['name']));
  const extra = headers.length === 0 ? '' : ` [${headers.join(', ')}]`;
  return `${isPrefix && shown !== '/*' ? `${shown.replace(/\/$/, '')}/*` : shown}${extra}`;
}

function routeTarget(route: Fields): string {
  const action = fields(route['route']);
  if (route['redirect'] !== undefined) return 'redirect';
  if (route['direct_response'] !== undefined)
    return `${text(at(route, 'direct_response', 'status'))} (direct)`;
  if (action['weighted_clusters'] !== undefined) return weighted(fields(action['weighted_clusters']));
  return text(action['cluster']) || text(action['cluster_header']);
}

function weighted(clusters: Fields): string {
  return list(clusters['clusters'])
    .map((one) => `${text(one['name'])} ${text(one['weight'])}`)
    .join(', ');
}

function domains(host: Fields): string {
  const [first = '', ...more] = texts(host['domains']);
  return more.length === 0 ? first : `${first}, + ${more.length} more...`;
}

/** `/apis/networking.istio.io/v1/namespaces/default/virtual-service/reviews` → `reviews.default`. */
function ruleName(path: string): string {
  const match = /\/namespaces\/([^/]+)\/[^/]+\/([^/]+)$/.exec(path);
  return match === null ? '' : `${match[2] ?? ''}.${match[1] ?? ''}`;
}

function entriesOf(dump: unknown, type: string, lists: readonly string[], field: string): Fields[] {
  return dumpsOf(dump, type)
    .flatMap((part) => lists.flatMap((name) => list(part[name])))
    .map((entry) => fields(entry[field]))
    .filter(hasName);
}

function dumpsOf(dump: unknown, type: string): Fields[] {
  return list(fields(dump)['configs']).filter((part) => text(part['@type']).endsWith(`.${type}`));
}

function hasName(entry: Fields): boolean {
  return Object.keys(entry).length > 0;
}

function byCells(rows: readonly ConfigRow[]): ConfigRow[] {
  return [...rows].sort((a, b) => (a.cells.join('\t') < b.cells.join('\t') ? -1 : 1));
}

function at(value: unknown, ...path: string[]): unknown {
  return path.reduce<unknown>((present, step) => fields(present)[step], value);
}

function fields(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

function list(value: unknown): Fields[] {
  return Array.isArray(value) ? value.map(fields) : [];
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.map(text) : [];
}

function text(value: unknown): string {
  return value === undefined || value === null || typeof value === 'object' ? '' : String(value);
}
