/**
 * The configuration that the control plane gives: each response is taken over, and what the configuration names by then
 * is asked for. It begins when what the connection needs of certificates is there, and moves when those change.
 */
import { systemRandom, type Logger, type TimerWheel } from '@sluice/runtime';
import {
  wildcard,
  xdsTypes,
  type AdsUpdate,
  type Bootstrap,
  type Init,
  type Node,
  type RejectedResource,
} from '@sluice/xds';
import { AdsSession, type AdsObserver } from './ads-session.ts';
import { applyUpdate, mayNameOthers, type Activations } from './apply-update.ts';
import type { ControlPlaneLink } from './control-plane-link.ts';
import { adsMetadata } from './node.ts';

export interface AdsConfigurationDeps {
  readonly bootstrap: Bootstrap;
  readonly node: Init<Node>;
  readonly link: ControlPlaneLink;
  readonly activations: Activations;
  readonly timers: TimerWheel;
  readonly logger: Logger;
  readonly observer: AdsObserver;
  /** A response is taken over; `mayName`: what it brought may name what was not named before. */
  onApplied(resourceCount: number, mayName: boolean): void;
  /** It is time to ask again, though nothing has come. */
  onDue(): void;
  /** The control plane does not take who we are. */
  onRefused(): void;
}

/** ConfigSource.initial_fetch_timeout, Envoy's default. */
const initialFetchTimeoutMs = 15_000;
const everything: ReadonlySet<string> = new Set([wildcard]);

export class AdsConfiguration {
  readonly #deps: AdsConfigurationDeps;
  #session: AdsSession | null = null;
  /** Types of which there was a response. */
  readonly #received = new Set<string>();
  #isApplying = false;
  #mayFetchListeners = false;
  #secretsLookedAt = -1;
  #secretsWanted: ReadonlySet<string> = new Set();

  constructor(deps: AdsConfigurationDeps) {
    this.#deps = deps;
  }

  get hasBegun(): boolean {
    return this.#session !== null;
  }
  /** It was asked, and nothing has come. */
  get isAwaited(): boolean {
    return this.#session !== null && this.#received.size === 0;
  }
  /** Changes are those of a response, which is looked at as a whole. */
  get isApplying(): boolean {
    return this.#isApplying;
  }

  hasReceived(typeUrl: string): boolean {
    return this.#received.has(typeUrl);
  }

  /** Once: when what the connection to the control plane needs of certificates is there. */
  begin(): void {
    const { bootstrap, node, link, timers, logger, observer, onRefused } = this.#deps;
    const config = bootstrap.dynamicResources?.adsConfig;
    if (config === undefined || this.#session !== null || !link.isReady) return;
    this.#session = new AdsSession({
      variant: config.apiType === 'DELTA_GRPC' ? 'delta' : 'sotw',
      node,
      metadata: adsMetadata(config),
      transport: link,
      timers,
      random: systemRandom,
      logger,
      onUpdate: (update) => this.#take(update),
      observer,
      onRefused,
    });
    this.#session.start();
    // As Envoy does: listeners are fetched when clusters are warm, so that none serves into the void.
    if (bootstrap.dynamicResources?.cdsConfig === undefined) this.#mayFetchListeners = true;
    else timers.schedule(initialFetchTimeoutMs, () => this.#fetchListeners());
  }

  /** The connection goes over to the new certificate; the old one ends with its stream. */
  move(): void {
    this.#deps.link.retire();
    this.#session?.reconnect();
  }

  /** Subscriptions follow what the configuration names. */
  ask(): void {
    // Without a session, too: files of secrets are read when they are named, and a session may wait for one.
    const wantedSecrets = this.#followSecrets();
    const session = this.#session;
    if (session === null) return;
    const { cdsConfig, ldsConfig } = this.#deps.bootstrap.dynamicResources ?? {};
    const { secrets, clusters, listeners } = this.#deps.activations;
    session.want(xdsTypes.secret, wantedSecrets);
    secrets.forgetUnwanted(wantedSecrets);
    if (cdsConfig !== undefined) session.want(xdsTypes.cluster, everything);
    const endpoints = clusters.wantedEndpoints();
    session.want(xdsTypes.endpoint, endpoints);
    clusters.forgetUnwanted(endpoints);
    if (this.#received.has(xdsTypes.cluster) && clusters.warmingNames.length === 0)
      this.#mayFetchListeners = true;
    if (ldsConfig !== undefined && this.#mayFetchListeners) session.want(xdsTypes.listener, everything);
    session.want(xdsTypes.route, listeners.wantedTables());
    session.want(xdsTypes.virtualHost, listeners.wantedHosts());
  }

  stop(): void {
    this.#session?.stop();
  }

  /** Subscriptions are looked at once per response, not once per resource of it. */
  #take(update: AdsUpdate): readonly RejectedResource[] {
    const { activations, logger, onApplied } = this.#deps;
    const revision = this.#revision;
    this.#isApplying = true;
    let rejected: readonly RejectedResource[];
    try {
      rejected = applyUpdate(update, activations);
    } finally {
      this.#isApplying = false;
    }
    this.#received.add(update.typeUrl);
    for (const { name, problem } of rejected)
      logger.error('a resource was refused', { type: update.typeUrl, name, problem });
    onApplied(update.resources.length, mayNameOthers(update) || this.#revision !== revision);
    return rejected;
  }

  #fetchListeners(): void {
    this.#mayFetchListeners = true;
    this.#deps.onDue();
  }

  get #revision(): number {
    const { clusters, listeners } = this.#deps.activations;
    return clusters.revision + listeners.revision;
  }

  #followSecrets(): ReadonlySet<string> {
    if (this.#revision !== this.#secretsLookedAt) {
      const { secrets, clusters, listeners } = this.#deps.activations;
      this.#secretsLookedAt = this.#revision;
      this.#secretsWanted = secrets.follow([
        ...this.#deps.link.messages,
        ...clusters.messages(),
        ...listeners.messages(),
      ]);
    }
    return this.#secretsWanted;
  }
}
