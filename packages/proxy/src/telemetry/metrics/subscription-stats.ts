/**
 * What became of the configuration that the control plane sends, under Envoy's names: `control_plane.*`,
 * `cluster_manager.cds.*`, `listener_manager.lds.*` and `sds.<name>.*`.
 *
 * Envoy counts each route table, endpoint list and table of virtual hosts by itself; a sidecar has a thousand, so
 * here they are counted together (`http.rds.*`, `cluster.update_*`, `http.vhds.*`), without the labels that tell them
 * apart: what is summed up over Envoy's series is the same. Plain numbers of the main thread, read when somebody asks.
 */
import type { FamilySnapshot, Labels } from '@sluice/runtime';
import { wildcard, xdsTypes, type AdsUpdate, type RejectedResource } from '@sluice/xds';
import type { AdsObserver } from '../../xds/ads-session.ts';
import { readFamily, readSeries } from './read-families.ts';

/** Of one subscription, or of all of a type. */
class SubscriptionCounts {
  attempts = 0;
  successes = 0;
  rejections = 0;
  failures = 0;
  /** Wall clock, ms, of the last success; 0 before. */
  updatedMs = 0;
  /** Of the last success. */
  version = '';

  succeeded(count: number, version: string, nowMs: number): void {
    if (count === 0) return;
    this.attempts += count;
    this.successes += count;
    this.updatedMs = nowMs;
    this.version = version;
  }

  rejected(count: number): void {
    this.attempts += count;
    this.rejections += count;
  }

  failed(count: number): void {
    this.attempts += count;
    this.failures += count;
  }
}

interface CountedType {
  readonly prefix: string;
  /** One subscription per name, as Envoy has it; else one for the whole type. */
  readonly isByName: boolean;
}

const countedTypes: ReadonlyMap<string, CountedType> = new Map([
  [xdsTypes.cluster, { prefix: 'envoy_cluster_manager_cds_', isByName: false }],
  [xdsTypes.listener, { prefix: 'envoy_listener_manager_lds_', isByName: false }],
  [xdsTypes.endpoint, { prefix: 'envoy_cluster_', isByName: true }],
  [xdsTypes.route, { prefix: 'envoy_http_rds_', isByName: true }],
  [xdsTypes.virtualHost, { prefix: 'envoy_http_vhds_', isByName: false }],
]);
const secretPrefix = 'envoy_sds_';
const none: ReadonlySet<string> = new Set();

export class SubscriptionStats implements AdsObserver {
  readonly #wallMs: () => number;
  readonly #wanted = new Map<string, ReadonlySet<string>>();
  readonly #types = new Map<string, SubscriptionCounts>();
  /** By the secret's name; while it is subscribed to. */
  readonly #secrets = new Map<string, SubscriptionCounts>();
  #isConnected = false;

  constructor(wallMs: () => number) {
    this.#wallMs = wallMs;
  }

  connected(): void {
    this.#isConnected = true;
  }

  wants(typeUrl: string, names: ReadonlySet<string>): void {
    const before = this.#wanted.get(typeUrl) ?? none;
    this.#wanted.set(typeUrl, names);
    if (typeUrl === xdsTypes.secret) return this.#wantsSecrets(names);
    const counts = this.#countsOf(typeUrl);
    if (counts === undefined) return;
    // Beginning to ask is an attempt, as Envoy counts it.
    counts.attempts +=
      countedTypes.get(typeUrl)?.isByName === true
        ? [...names].filter((name) => !before.has(name)).length
        : Number(before.size === 0 && names.size > 0);
  }

  updated(update: AdsUpdate, rejected: readonly RejectedResource[]): void {
    const bad = new Set([...update.problems, ...rejected].map(({ name }) => name));
    const good = update.resources.filter(({ name }) => !bad.has(name));
    const nowMs = this.#wallMs();
    if (update.typeUrl === xdsTypes.secret) {
      for (const { name, version } of good) this.#secrets.get(name)?.succeeded(1, version, nowMs);
      for (const name of bad) this.#secrets.get(name)?.rejected(1);
      return;
    }
    const counts = this.#countsOf(update.typeUrl);
    if (counts === undefined) return;
    if (countedTypes.get(update.typeUrl)?.isByName === true) {
      counts.succeeded(good.length, update.version, nowMs);
      counts.rejected(bad.size);
    } else if (bad.size > 0) counts.rejected(1);
    else counts.succeeded(1, update.version, nowMs);
  }

  /** To each subscription a failure. */
  lost(): void {
    this.#isConnected = false;
    for (const [typeUrl, names] of this.#wanted) {
      const isByName = countedTypes.get(typeUrl)?.isByName === true;
      this.#countsOf(typeUrl)?.failed(isByName ? names.size : Math.min(1, names.size));
    }
    for (const counts of this.#secrets.values()) counts.failed(1);
  }

  families(): FamilySnapshot[] {
    return [
      readFamily(
        'envoy_control_plane_connected_state',
        'gauge',
        '1 while the control plane answers on a stream.',
        Number(this.#isConnected),
      ),
      ...[...this.#types].flatMap(([typeUrl, counts]) => typeFamilies(typeUrl, counts)),
      ...secretFamilies([...this.#secrets]),
    ];
  }

  #wantsSecrets(names: ReadonlySet<string>): void {
    for (const name of this.#secrets.keys()) if (!names.has(name)) this.#secrets.delete(name);
    for (const name of names) {
      if (name === wildcard || this.#secrets.has(name)) continue;
      const counts = new SubscriptionCounts();
      counts.attempts = 1;
      this.#secrets.set(name, counts);
    }
  }

  #countsOf(typeUrl: string): SubscriptionCounts | undefined {
    let counts = this.#types.get(typeUrl);
    if (counts === undefined && countedTypes.has(typeUrl))
      this.#types.set(typeUrl, (counts = new SubscriptionCounts()));
    return counts;
  }
}

type Row = readonly [
  part: string,
  type: 'counter' | 'gauge',
  help: string,
  valueOf: (counts: SubscriptionCounts) => number,
];

const rows: readonly Row[] = [
  ['update_attempt', 'counter', 'Updates asked for, received or failed.', ({ attempts }) => attempts],
  ['update_success', 'counter', 'Updates that were taken.', ({ successes }) => successes],
  ['update_rejected', 'counter', 'Updates that were refused (NACK).', ({ rejections }) => rejections],
  ['update_failure', 'counter', 'Losses of the stream while subscribed.', ({ failures }) => failures],
  ['update_time', 'gauge', 'Unix time of the last update taken, in ms.', ({ updatedMs }) => updatedMs],
];
const versionRow: Row = [
  'version',
  'gauge',
  'Hash of the version of the last update taken.',
  ({ version }) => versionHash(version),
];

function typeFamilies(typeUrl: string, counts: SubscriptionCounts): FamilySnapshot[] {
  const counted = countedTypes.get(typeUrl);
  if (counted === undefined) return [];
  // What stands for many subscriptions has no version.
  const isSingle = typeUrl === xdsTypes.cluster || typeUrl === xdsTypes.listener;
  return (isSingle ? [...rows, versionRow] : rows).map(([part, type, help, valueOf]) =>
    readFamily(`${counted.prefix}${part}`, type, help, valueOf(counts)),
  );
}

function secretFamilies(secrets: readonly (readonly [string, SubscriptionCounts])[]): FamilySnapshot[] {
  if (secrets.length === 0) return [];
  const labelsOf = (name: string): Labels => ({ envoy_xds_resource_name: resourceLabel(name) });
  return [...rows, versionRow].map(([part, type, help, valueOf]) =>
    readSeries(
      `${secretPrefix}${part}`,
      type,
      help,
      secrets.map(([name, counts]) => ({ labels: labelsOf(name), values: [valueOf(counts)] })),
    ),
  );
}

/** Names are URIs at times; Envoy writes what would divide them as one underscore. */
function resourceLabel(name: string): string {
  return name.replaceAll(/:\/\/|:\/|:/g, '_');
}

/** As Envoy hashes it; 0 before the first. A metric has 53 bits of it. */
function versionHash(version: string): number {
  return version === '' ? 0 : Number(Bun.hash.xxHash64(version));
}
