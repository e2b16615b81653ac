/** A mesh in memory, without sockets: resources in, what a client gets out. For the tests of this package. */
import { keyOf } from '@sluice/api';
import type { MeshSettings as ConfiguredSettings, Registration, ResourceKey } from '@sluice/api';
import { meshSettings } from '@sluice/api';
import { decodeMessage, toJson, xdsTypes } from '@sluice/xds';
import {
  ClusterLoadAssignmentTable,
  ClusterTable,
  ListenerTable,
  RouteConfigurationTable,
  VirtualHostTable,
} from '@sluice/xds';
import type { AdsSnapshot, JsonObject, MessageTable } from '@sluice/xds';
import { MeshModel } from '../model/mesh-model.ts';
import { testRegistration } from '../registry/registration.fixture.ts';
import { ClientNodes } from '../serve/client-nodes.ts';
import { readResourceText } from '../source/admission.ts';
import { openMemoryStore } from '../source/memory-store.ts';
import { putAll, strictStore } from '../source/store.fixture.ts';
import type { ResourceStore, StoreChange } from '../source/store.ts';
import { translationSettings } from './mesh-settings.ts';
import type { ProxyNode } from './node.ts';
import { Translator } from './translator.ts';

export const tableOfType: ReadonlyMap<string, MessageTable<object>> = new Map<string, MessageTable<object>>([
  [xdsTypes.cluster, ClusterTable],
  [xdsTypes.endpoint, ClusterLoadAssignmentTable],
  [xdsTypes.listener, ListenerTable],
  [xdsTypes.route, RouteConfigurationTable],
  [xdsTypes.virtualHost, VirtualHostTable],
]);

/** Capabilities of our own proxy. */
export const ownCapabilities: readonly string[] = [
  'sluice.dev/method-aware-retry',
  'sluice.dev/forward-proxy',
];

export interface FixtureOptions {
  readonly mesh?: Parameters<typeof meshSettings>[0];
}

export class TranslationFixture {
  readonly store: ResourceStore;
  readonly model: MeshModel;
  readonly translator: Translator;
  readonly settings: ConfiguredSettings;
  /** Grows with each object, so that the order of writing is the order of age. */
  nowMs = 1_700_000_000_000;
  readonly #nodes: ClientNodes;
  readonly #ports = new Map<string, number>();
  readonly #registrations = new Map<string, Registration>();

  constructor({ mesh = {} }: FixtureOptions = {}) {
    this.settings = meshSettings(mesh);
    this.store = openMemoryStore(strictStore(() => (this.nowMs += 1000)));
    const { clusterDomain, rootNamespace } = this.settings;
    this.model = new MeshModel({ clusterDomain, rootNamespace });
    this.translator = new Translator(this.model, translationSettings(this.settings).settings);
    this.#nodes = new ClientNodes(
      (instance, service, port) => this.#allot(instance, service, port),
      () => [],
    );
    this.store.subscribe((changes) => this.#take(changes));
  }

  /** Writes every document of the text as the API would; throws with the refusal's words. */
  apply(yaml: string): void {
    const { objects, problems } = readResourceText(yaml, 'test.yaml');
    const [problem] = problems.filter((one) => one.severity === 'error');
    if (problem) throw new Error(problem.message);
    putAll(this.store, objects);
  }

  /** The whole text as one folder file, as far as it is valid. */
  save(file: string, yaml: string): void {
    const { objects, problems } = readResourceText(yaml, file);
    this.store.replaceFile(file, objects, problems);
  }

  delete(key: ResourceKey): void {
    const written = this.store.delete(key, { origin: { source: 'api' } });
    if (!written.ok) throw new Error(written.failure.message);
  }

  /** A registered client; the same registration each time it is named. */
  client(name: string, changes: Partial<Registration> = {}): ProxyNode {
    let registration = this.#registrations.get(name);
    if (!registration) {
      registration = testRegistration(name, {
        outboundPortRange: [21_000, 21_999],
        capabilities: ownCapabilities,
        ttlMs: 3000,
        ...changes,
      });
      this.#registrations.set(name, registration);
    }
    const instance = `${name}.${registration.namespace}`;
    const registered = {
      instance,
      registration,
      registeredWallMs: 0,
      isHealthy: true,
      healthMessage: '',
      isRevoked: false,
    };
    return this.#nodes.forTranslation(registered, {
      node: undefined,
      variant: 'delta',
      proof: 'certificate',
    });
  }

  snapshot(node: ProxyNode): AdsSnapshot {
    return this.translator.snapshot(node);
  }

  /** One resource as JSON, or undefined when the client does not get it. */
  resource(node: ProxyNode, typeUrl: string, name: string): JsonObject | undefined {
    const found = this.snapshot(node).types.get(typeUrl)?.get(name);
    return found ? resourceJson(typeUrl, found.bytes) : undefined;
  }

  #take(changes: readonly StoreChange[]): void {
    this.translator.invalidate(this.model.apply(changes));
  }

  #allot(instance: string, service: string, port: number): number {
    const id = `${instance} ${service} ${port}`;
    let allotted = this.#ports.get(id);
    if (allotted === undefined) this.#ports.set(id, (allotted = 21_000 + this.#ports.size));
    return allotted;
  }
}

/** Resources that are other objects than before, as `type name`. */
export function changedBy(fixture: TranslationFixture, client: ProxyNode, change: () => void): string[] {
  const before = fixture.snapshot(client);
  change();
  const after = fixture.snapshot(client);
  const names = Object.entries(xdsTypes).flatMap(([short, type]) => {
    const [old, now] = [before.types.get(type), after.types.get(type)];
    if (old === now) return [];
    return [...new Set([...(old?.keys() ?? []), ...(now?.keys() ?? [])])]
      .filter((name) => old?.get(name) !== now?.get(name))
      .map((name) => `${short} ${name}`);
  });
  return names.sort();
}

export function resourceJson(typeUrl: string, bytes: Uint8Array): JsonObject {
  const table = tableOfType.get(typeUrl);
  if (!table) throw new Error(`no table of ${typeUrl}`);
  return toJson(table, decodeMessage(table, anyValue(bytes)));
}

/** The value of an encoded Any: field 2, after the type URL in field 1. */
function anyValue(bytes: Uint8Array): Uint8Array {
  let at = 0;
  for (;;) {
    const tag = bytes[at++] ?? 0;
    let length = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++] ?? 0;
      length |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    if (tag === 0x12) return bytes.subarray(at, at + length);
    at += length;
    if (at >= bytes.length) return new Uint8Array();
  }
}

export function keyOfYaml(yaml: string): ResourceKey {
  const [first] = readResourceText(yaml, 'test.yaml').objects;
  if (!first) throw new Error('no object');
  return keyOf(first.object);
}
