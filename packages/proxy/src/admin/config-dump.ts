/**
 * `/config_dump` in Envoy's shape: one dump per kind, each entry with version and time, secrets taken
 * out; beside `configs` our `unhonoured_fields`, what is set and without effect.
 *
 * Printed by the field tables that decoded it, so protobuf-es stays unloaded and what is shown is
 * exactly what the proxy understood.
 */
import {
  BootstrapTable,
  ClusterLoadAssignmentTable,
  ClusterTable,
  ListenerTable,
  RouteConfigurationTable,
  SecretTable,
  toJson,
  type JsonObject,
  type JsonValue,
  type MessageTable,
} from '@sluice/xds';
import { isSet, jsonReply, textReply, type AdminReply } from './exchange.ts';
import { applyMask, fieldMask } from './field-mask.ts';
import { compilePattern } from './pattern.ts';
import { redact } from './redact.ts';
import type { ConfigEntry, ConfigState } from './source.ts';

const TYPE = 'type.googleapis.com/envoy.admin.v3.';

/** Element types of the repeated fields, for `resource=`. */
const ELEMENT_TYPES: Readonly<Record<string, string>> = {
  static_clusters: 'ClustersConfigDump.StaticCluster',
  dynamic_active_clusters: 'ClustersConfigDump.DynamicCluster',
  dynamic_warming_clusters: 'ClustersConfigDump.DynamicCluster',
  static_listeners: 'ListenersConfigDump.StaticListener',
  dynamic_listeners: 'ListenersConfigDump.DynamicListener',
  static_route_configs: 'RoutesConfigDump.StaticRouteConfig',
  dynamic_route_configs: 'RoutesConfigDump.DynamicRouteConfig',
  static_endpoint_configs: 'EndpointsConfigDump.StaticEndpointConfig',
  dynamic_endpoint_configs: 'EndpointsConfigDump.DynamicEndpointConfig',
  static_secrets: 'SecretsConfigDump.StaticSecret',
  dynamic_active_secrets: 'SecretsConfigDump.DynamicSecret',
  dynamic_warming_secrets: 'SecretsConfigDump.DynamicSecret',
};

export function configDumpPage(state: ConfigState, query: URLSearchParams): AdminReply {
  const name = query.get('name_regex') ?? '';
  const matches = nameFilter(name);
  if (matches === null) return textReply('name_regex is not a regular expression\n', 400);
  const resource = query.get('resource');
  const mask = query.get('mask');
  const dumps = dumpsOf(
    state,
    isSet(query, 'include_eds') || (resource?.includes('endpoint') ?? false),
    matches,
  );
  const masked = (dump: JsonObject): JsonValue => (mask === null ? dump : applyMask(dump, fieldMask(mask)));
  if (resource === null) {
    return jsonReply({ configs: dumps.map(masked), unhonoured_fields: unhonouredOf(state) });
  }
  const elementType = ELEMENT_TYPES[resource];
  if (elementType === undefined && resource !== 'bootstrap') {
    return textReply(
      `unknown resource; use bootstrap or one of ${Object.keys(ELEMENT_TYPES).join(', ')}\n`,
      400,
    );
  }
  const found = dumps.flatMap((dump) => {
    const value = dump[resource];
    if (value === undefined) return [];
    return Array.isArray(value) ? (value as JsonObject[]) : [dump];
  });
  const typed = elementType === undefined ? found : found.map((entry) => withType(TYPE + elementType, entry));
  return jsonReply({ configs: typed.map(masked) });
}

function withType(type: string, entry: JsonObject): JsonObject {
  return { '@type': type, ...entry };
}

type NameFilter = (name: string) => boolean;

function nameFilter(pattern: string): NameFilter | null {
  return pattern === '' ? () => true : compilePattern(pattern);
}

function dumpsOf(state: ConfigState, includeEds: boolean, matches: NameFilter): JsonObject[] {
  const bootstrap: JsonObject = {
    '@type': `${TYPE}BootstrapConfigDump`,
    bootstrap: redact(toJson(BootstrapTable, state.bootstrap)),
    last_updated: timestamp(state.bootstrapUpdatedMs),
  };
  const dumps = [
    bootstrap,
    clustersDump(state, matches),
    listenersDump(state, matches),
    routesDump(state, matches),
  ];
  if (includeEds) dumps.push(endpointsDump(state, matches));
  dumps.push(secretsDump(state, matches));
  return dumps;
}

function clustersDump(state: ConfigState, matches: NameFilter): JsonObject {
  const entries = state.clusters.filter(({ name }) => matches(name));
  const dump = (entry: ConfigEntry<object>): JsonObject => dumpEntry('cluster', ClusterTable, entry);
  const dynamic = entries.filter(({ isStatic }) => !isStatic);
  return {
    '@type': `${TYPE}ClustersConfigDump`,
    static_clusters: entries.filter(({ isStatic }) => isStatic).map(dump),
    dynamic_active_clusters: dynamic.filter(({ state: at }) => at !== 'warming').map(dump),
    dynamic_warming_clusters: dynamic.filter(({ state: at }) => at === 'warming').map(dump),
  };
}

function listenersDump(state: ConfigState, matches: NameFilter): JsonObject {
  const entries = state.listeners.filter(({ name }) => matches(name));
  const byName = Map.groupBy(
    entries.filter(({ isStatic }) => !isStatic),
    ({ name }) => name,
  );
  return {
    '@type': `${TYPE}ListenersConfigDump`,
    static_listeners: entries
      .filter(({ isStatic }) => isStatic)
      .map((entry) => dumpEntry('listener', ListenerTable, entry)),
    dynamic_listeners: [...byName].map(([name, states]) => dynamicListener(name, states)),
  };
}

function dynamicListener(name: string, states: readonly ConfigEntry<object>[]): JsonObject {
  const out: Record<string, JsonValue> = { name };
  for (const entry of states) {
    const { error_state: error, ...rest } = dumpEntry('listener', ListenerTable, entry);
    if (entry.message !== null) out[`${entry.state}_state`] = rest;
    if (error !== undefined) out['error_state'] = error;
  }
  return out;
}

function routesDump(state: ConfigState, matches: NameFilter): JsonObject {
  const entries = state.routes.filter(({ name }) => matches(name));
  const dump = (entry: ConfigEntry<object>): JsonObject =>
    dumpEntry('route_config', RouteConfigurationTable, entry);
  return {
    '@type': `${TYPE}RoutesConfigDump`,
    static_route_configs: entries.filter(({ isStatic }) => isStatic).map(dump),
    dynamic_route_configs: entries.filter(({ isStatic }) => !isStatic).map(dump),
  };
}

function endpointsDump(state: ConfigState, matches: NameFilter): JsonObject {
  const entries = state.endpoints.filter(({ name }) => matches(name));
  const dump = (entry: ConfigEntry<object>): JsonObject =>
    dumpEntry('endpoint_config', ClusterLoadAssignmentTable, entry);
  return {
    '@type': `${TYPE}EndpointsConfigDump`,
    static_endpoint_configs: entries.filter(({ isStatic }) => isStatic).map(dump),
    dynamic_endpoint_configs: entries.filter(({ isStatic }) => !isStatic).map(dump),
  };
}

/** Of a secret that has not come, or was never accepted, there is no content: Envoy lists it among the warming ones. */
function secretsDump(state: ConfigState, matches: NameFilter): JsonObject {
  const entries = state.secrets.filter(({ name }) => matches(name));
  const dump = (entry: ConfigEntry<object>): JsonObject => ({
    name: entry.name,
    ...dumpEntry('secret', SecretTable, entry),
  });
  const dynamic = entries.filter(({ isStatic }) => !isStatic);
  return {
    '@type': `${TYPE}SecretsConfigDump`,
    static_secrets: entries.filter(({ isStatic }) => isStatic).map(dump),
    dynamic_active_secrets: dynamic.filter(({ message }) => message !== null).map(dump),
    dynamic_warming_secrets: dynamic.filter(({ message }) => message === null).map(dump),
  };
}

function dumpEntry(field: string, table: MessageTable<object>, entry: ConfigEntry<object>): JsonObject {
  const out: Record<string, JsonValue> = {};
  if (!entry.isStatic) out['version_info'] = entry.version;
  if (entry.message !== null) {
    const json = redact(toJson(table, entry.message)) as JsonObject;
    out[field] = { '@type': table.typeUrl, ...json };
    out['last_updated'] = timestamp(entry.updatedMs);
  }
  if (entry.rejected !== null) {
    const { details, version, atMs } = entry.rejected;
    out['error_state'] = { last_update_attempt: timestamp(atMs), details, version_info: version };
  }
  if (!entry.isStatic) out['client_status'] = clientStatus(entry);
  return out;
}

function clientStatus({ message, rejected, isAbsent }: ConfigEntry<object>): string {
  if (rejected !== null) return 'NACKED';
  if (isAbsent === true) return 'DOES_NOT_EXIST';
  return message === null ? 'REQUESTED' : 'ACKED';
}

function unhonouredOf(state: ConfigState): JsonObject[] {
  const kinds: readonly (readonly [string, readonly ConfigEntry<object>[]])[] = [
    [ClusterTable.typeUrl, state.clusters],
    [ListenerTable.typeUrl, state.listeners],
    [RouteConfigurationTable.typeUrl, state.routes],
    [ClusterLoadAssignmentTable.typeUrl, state.endpoints],
    [SecretTable.typeUrl, state.secrets],
  ];
  return kinds.flatMap(([typeUrl, entries]) =>
    entries.flatMap(({ name, unhonoured }) =>
      unhonoured.map(({ path, message }) => ({ type_url: typeUrl, name, path, message })),
    ),
  );
}

function timestamp(wallMs: number): string {
  return new Date(wallMs).toISOString();
}
