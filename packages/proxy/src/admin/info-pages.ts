/** `/server_info`, `/memory`, `/runtime`, `/listeners`: small facts in Envoy's JSON and text. */
import type { JsonObject, JsonValue } from '@sluice/xds';
import { addressJson } from './clusters-page.ts';
import { jsonReply, textReply, type AdminReply } from './exchange.ts';
import { redact } from './redact.ts';
import type { AdminSource, ListenerFacts, RuntimeLayer } from './source.ts';

export function serverInfoPage(source: AdminSource): AdminReply {
  const facts = source.serverFacts();
  const uptime = `${Math.max(0, Math.floor((facts.nowWallMs - facts.startedWallMs) / 1000))}s`;
  return jsonReply({
    version: facts.version,
    state: source.state(),
    hot_restart_version: facts.hotRestartVersion,
    command_line_options: redact(facts.commandLine),
    node: {
      id: facts.nodeId,
      cluster: facts.nodeCluster,
      metadata: redact(facts.nodeMetadata),
      locality: {
        region: facts.locality.region,
        zone: facts.locality.zone,
        sub_zone: facts.locality.subZone,
      },
      user_agent_name: 'sluice',
    },
    uptime_current_epoch: uptime,
    uptime_all_epochs: uptime,
  });
}

/** Bytes as strings, as Protobuf's JSON writes 64-bit integers. */
export function memoryPage(usage: {
  heapUsed: number;
  heapTotal: number;
  rss: number;
  external: number;
}): AdminReply {
  return jsonReply({
    allocated: `${usage.heapUsed}`,
    heap_size: `${usage.heapTotal}`,
    pageheap_unmapped: '0',
    pageheap_free: `${Math.max(0, usage.heapTotal - usage.heapUsed)}`,
    total_thread_cache: `${usage.external}`,
    total_physical_bytes: `${usage.rss}`,
  });
}

/** Each entry's value per layer, and the one that counts: the last that is set. */
export function runtimePage(layers: readonly RuntimeLayer[]): AdminReply {
  const keys = new Set(layers.flatMap(({ entries }) => [...entries.keys()]));
  const entries: Record<string, JsonValue> = {};
  for (const key of [...keys].sort()) {
    const values = layers.map((layer) => textOf(layer.entries.get(key)));
    entries[key] = { layer_values: values, final_value: values.findLast((value) => value !== '') ?? '' };
  }
  const page: JsonObject = { layers: layers.map(({ name }) => name), entries };
  return jsonReply(page);
}

export function listenersPage(listeners: readonly ListenerFacts[], query: URLSearchParams): AdminReply {
  if (query.get('format') === 'json') {
    const statuses = listeners.map((listener) => ({
      name: listener.name,
      local_address: addressJson(addressOf(listener)),
    }));
    return jsonReply({ listener_statuses: statuses });
  }
  return textReply(listeners.map((listener) => `${listener.name}::${addressOf(listener)}\n`).join(''));
}

function addressOf({ address, port }: ListenerFacts): string {
  if (port === 0) return address;
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

function textOf(value: JsonValue | undefined): string {
  if (value === undefined) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
