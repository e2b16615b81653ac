/**
 * Writes back what became of each resource (design §6, Status): from the model what is accepted and resolved, from
 * the proxies what is programmed. Coalesced, on difference only, in one transaction, never a cause of translation:
 * a status write is no change of content.
 *
 * Kinds that have no status of this sort (Service, EndpointSlice, …) and registrations, whose WorkloadEntry carries
 * the registry's own condition, are left alone.
 */
import { analyze, formatKey } from '@sluice/api';
import type { Problem } from '@sluice/api';
import { canonicalJson, TimerNode } from '@sluice/runtime';
import type { Logger, TimerWheel } from '@sluice/runtime';
import type { MeshModel } from '../model/mesh-model.ts';
import type { ResourceStore, StatusWrite, StoredObject } from '../source/store.ts';
import { gatewayApiGroup } from './gateway-classes.ts';
import { gatewayClassStatus, gatewayStatus } from './gateway-status.ts';
import { istioStatus } from './istio-status.ts';
import type { StatusFacts } from './istio-status.ts';
import { countProgress } from './programmed.ts';
import type { ProxyProgress } from './programmed.ts';
import { conflictsOf } from './references.ts';
import { httpRouteStatus } from './route-parents.ts';

export interface StatusWriterOptions {
  readonly store: ResourceStore;
  readonly model: MeshModel;
  /** Every connected proxy, as it is now. */
  readonly proxies: () => Iterable<ProxyProgress>;
  readonly wheel: TimerWheel;
  readonly wallMs: () => number;
  readonly log: Logger;
}

/** Writes wait this long for further changes: status is for people. */
const delayMs = 200;
/** Another attempt after the disk took no status. */
const retryMs = 5000;

const istioKinds = [
  ['networking.istio.io', 'VirtualService'],
  ['networking.istio.io', 'DestinationRule'],
  ['networking.istio.io', 'ServiceEntry'],
  ['networking.istio.io', 'Sidecar'],
  ['networking.istio.io', 'Gateway'],
  ['networking.istio.io', 'WorkloadEntry'],
  ['networking.istio.io', 'WorkloadGroup'],
  ['security.istio.io', 'PeerAuthentication'],
] as const;
const gatewayKinds = ['GatewayClass', 'Gateway', 'HTTPRoute'] as const;

export class StatusWriter {
  readonly #options: StatusWriterOptions;
  readonly #timer: TimerNode;
  /** Whether it is this control plane that writes. */
  #isOnDuty = false;
  #findings: ReadonlyMap<string, readonly Problem[]> = new Map();
  #hasNewContent = true;
  /** Progress that was written last, to see whether an ACK changed anything. */
  #writtenProgress = '';

  constructor(options: StatusWriterOptions) {
    this.#options = options;
    this.#timer = new TimerNode(() => this.#write());
  }

  /** From now on statuses are this control plane's to write: everything is judged anew. */
  begin(): void {
    this.#isOnDuty = true;
    this.contentChanged();
  }

  /** Resources changed: everything is judged anew. */
  contentChanged(): void {
    this.#hasNewContent = true;
    this.#schedule(delayMs);
  }

  /** A proxy came, went, accepted or refused. */
  progressChanged(): void {
    this.#schedule(delayMs);
  }

  end(): void {
    this.#isOnDuty = false;
    this.#options.wheel.disarm(this.#timer);
  }

  #schedule(afterMs: number): void {
    if (this.#isOnDuty && !this.#timer.isArmed) this.#options.wheel.arm(this.#timer, afterMs);
  }

  #write(): void {
    const { store, model, proxies, wallMs, log } = this.#options;
    const progress = countProgress(proxies());
    const progressText = canonicalJson([...progress].sort(([a], [b]) => (a < b ? -1 : 1)));
    if (!this.#hasNewContent && progressText === this.#writtenProgress) return;
    if (this.#hasNewContent) this.#findings = this.#analyze();
    const time = `${new Date(wallMs()).toISOString().slice(0, 19)}Z`;
    const shared = { model, progress, time, conflicts: conflictsOf(model) };
    const writes = this.#subjects().flatMap((stored): StatusWrite[] => {
      const findings = this.#findings.get(formatKey(stored.key)) ?? [];
      const status = statusOf(stored, store, { ...shared, findings });
      return status === undefined ? [] : [{ key: stored.key, status, expectedRevision: stored.revision }];
    });
    this.#hasNewContent = false;
    this.#writtenProgress = progressText;
    const failures = store.putStatuses(writes).flatMap((result) => (result.ok ? [] : [result.failure]));
    // What was deleted meanwhile needs no status; what changed meanwhile has announced itself.
    const full = failures.find((failure) => failure.code === 'state-unwritable');
    if (!full) return;
    log.error('status could not be written; it is tried again', { reason: full.message });
    this.#hasNewContent = true;
    this.#schedule(retryMs);
  }

  *#objects(): Iterable<StoredObject> {
    const { store } = this.#options;
    for (const [group, kind] of istioKinds) yield* store.list(group, kind);
    for (const kind of gatewayKinds) yield* store.list(gatewayApiGroup, kind);
  }

  #subjects(): StoredObject[] {
    return [...this.#objects()].filter(({ origin }) => origin.source !== 'registration');
  }

  /** The findings of `sluice analyze` over what is live, by resource. */
  #analyze(): ReadonlyMap<string, readonly Problem[]> {
    const { store, model } = this.#options;
    const objects = [...store.all()].flatMap(({ serving, origin }) =>
      serving ? [{ object: serving, ...(origin.source === 'folder' ? { file: origin.file } : {}) }] : [],
    );
    const byKey = new Map<string, Problem[]>();
    for (const problem of analyze(objects, model.options)) {
      if (!problem.key) continue;
      const key = formatKey(problem.key);
      const list = byKey.get(key);
      if (list) list.push(problem);
      else byKey.set(key, [problem]);
    }
    return byKey;
  }
}

/** Undefined where there is nothing for us to say. */
function statusOf(stored: StoredObject, store: ResourceStore, facts: StatusFacts): unknown {
  if (stored.key.group !== gatewayApiGroup) return istioStatus(stored, facts);
  switch (stored.key.kind) {
    case 'HTTPRoute':
      return httpRouteStatus(stored, store, facts);
    case 'Gateway':
      return gatewayStatus(stored, store, facts);
    case 'GatewayClass':
      return gatewayClassStatus(stored, facts);
    default:
      return undefined;
  }
}
