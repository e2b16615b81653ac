/**
 * The server's side of one ADS stream, for all its types, in either variant of the protocol.
 *
 * A machine: it is given requests and snapshots, and keeps what is to be sent until `takeResponses`.
 * One response of a type is under way at a time. Additions go clusters, endpoints, listeners, routes, virtual
 * hosts, each after the ACK of those before, but for virtual hosts of tables that stay as they are: these go along
 * with routes. A removal waits until everything that could refer to the resource has been accepted without it. A
 * refused version is not sent again, its companions are, and what is equal to what the client holds is not sent.
 */
import { DeltaDiscoveryRequestTable, DiscoveryRequestTable } from '../gen/tables.ts';
import type { Node, RpcStatus } from '../gen/messages.ts';
import { decodeMessage } from '../proto/decode.ts';
import { XdsDecodeError } from '../proto/error.ts';
import { namedIn } from './nack.ts';
import { planSend, type SendPermission, type SendPlan } from './plan.ts';
import { encodeDeltaResponse, encodeSotwResponse } from './server-response.ts';
import { ServerType, type InFlight } from './server-type.ts';
import { typeStatus, type TypeStatus } from './server-status.ts';
import type { AdsChanges, AdsSnapshot } from './snapshot.ts';
import { additionOrder, isFullState, parentName, xdsTypes } from './types.ts';
import { setVersion } from './version.ts';
import type { AdsVariant } from './client.ts';

export type AdsServerEvent =
  /** First of all events: who is asking. */
  | { readonly kind: 'node'; readonly node: Node }
  | { readonly kind: 'subscription'; readonly typeUrl: string; readonly names: readonly string[] }
  /** `names`: what was new in the accepted response; `removed`: what it took away. */
  | {
      readonly kind: 'ack';
      readonly typeUrl: string;
      readonly names: readonly string[];
      readonly removed: readonly string[];
    }
  /** `rejected`: resource to refused version; empty while the culprit is still being looked for. */
  | {
      readonly kind: 'nack';
      readonly typeUrl: string;
      readonly message: string;
      readonly rejected: ReadonlyMap<string, string>;
    }
  /** Not a request: the stream is of no use and should be closed. */
  | { readonly kind: 'broken'; readonly error: XdsDecodeError };

/** Types whose resources may refer to one of the type, and must be settled before it goes. */
const referrers: Readonly<Record<string, readonly string[]>> = {
  [xdsTypes.cluster]: [xdsTypes.listener, xdsTypes.route, xdsTypes.virtualHost],
  [xdsTypes.endpoint]: [xdsTypes.cluster, xdsTypes.listener, xdsTypes.route, xdsTypes.virtualHost],
  [xdsTypes.route]: [xdsTypes.listener],
  [xdsTypes.virtualHost]: [xdsTypes.listener, xdsTypes.route],
};

export class AdsServerSession {
  readonly #isDelta: boolean;
  readonly #types = new Map<string, ServerType>();
  #snapshot: AdsSnapshot | undefined;
  #node: Node | undefined;
  #nonce = 0;

  constructor(variant: AdsVariant) {
    this.#isDelta = variant === 'delta';
  }

  get node(): Node | undefined {
    return this.#node;
  }

  /** `changed` describes the difference to the snapshot before; without it everything is compared. */
  setSnapshot(snapshot: AdsSnapshot, changed?: AdsChanges): void {
    this.#snapshot = snapshot;
    for (const [typeUrl, type] of this.#types)
      type.setDesired(snapshot.types.get(typeUrl), changed?.get(typeUrl));
  }

  receive(bytes: Uint8Array): readonly AdsServerEvent[] {
    const events: AdsServerEvent[] = [];
    try {
      if (this.#isDelta) this.#receiveDelta(bytes, events);
      else this.#receiveSotw(bytes, events);
    } catch (error) {
      if (!(error instanceof XdsDecodeError)) throw error;
      events.push({ kind: 'broken', error });
    }
    return events;
  }

  /** Messages that may go now. Call after each `receive` and `setSnapshot`. */
  takeResponses(): readonly Uint8Array[] {
    const responses: Uint8Array[] = [];
    let blockedBy: string | undefined;
    for (const typeUrl of additionOrder) {
      const type = this.#types.get(typeUrl);
      if (type === undefined) continue;
      const updates =
        typeUrl === xdsTypes.virtualHost && blockedBy === xdsTypes.route
          ? this.#isOfSettledTable
          : blockedBy === undefined;
      this.#trySend(type, { updates, removals: this.#mayRemove(type) }, responses);
      if ((type.inFlight?.updates.length ?? 0) > 0) blockedBy ??= typeUrl;
    }
    for (const [typeUrl, type] of this.#types) {
      if (!additionOrder.includes(typeUrl)) this.#trySend(type, { updates: true, removals: true }, responses);
    }
    return responses;
  }

  status(): ReadonlyMap<string, TypeStatus> {
    return new Map([...this.#types].map(([typeUrl, type]) => [typeUrl, typeStatus(type)]));
  }

  /** The version of a resource that the client has accepted; undefined where it has none of the name. */
  heldVersion(typeUrl: string, name: string): string | undefined {
    return this.#types.get(typeUrl)?.known.get(name)?.version;
  }

  /** What the client has asked for by name; `*` stands for everything. */
  subscriptions(typeUrl: string): readonly string[] {
    return this.#types.get(typeUrl)?.subscribedNames ?? [];
  }

  #receiveSotw(bytes: Uint8Array, events: AdsServerEvent[]): void {
    const request = decodeMessage(DiscoveryRequestTable, bytes);
    this.#rememberNode(request.node, events);
    const isFirst = !this.#types.has(request.typeUrl);
    const type = this.#type(request.typeUrl);
    if (isFirst) {
      type.claimedVersion = request.versionInfo;
      type.mustAnswer = true;
    } else if (request.responseNonce !== type.lastNonce) {
      return; // Stale: the client will answer the newer response, naming what it wants then.
    }
    if (!isFirst && type.inFlight?.nonce === request.responseNonce)
      this.#settle(type, type.inFlight, request.errorDetail, events);
    if (type.replaceNames(request.resourceNames, isFirst) || isFirst) {
      events.push({ kind: 'subscription', typeUrl: type.typeUrl, names: type.subscribedNames });
    }
  }

  #receiveDelta(bytes: Uint8Array, events: AdsServerEvent[]): void {
    const request = decodeMessage(DeltaDiscoveryRequestTable, bytes);
    this.#rememberNode(request.node, events);
    const isFirst = !this.#types.has(request.typeUrl);
    const type = this.#type(request.typeUrl);
    if (isFirst) {
      type.assumeHeld(request.initialResourceVersions);
    } else if (type.inFlight !== undefined && type.inFlight.nonce === request.responseNonce) {
      this.#settle(type, type.inFlight, request.errorDetail, events);
    }
    const { resourceNamesSubscribe: added, resourceNamesUnsubscribe: dropped } = request;
    type.subscribe(added, isFirst);
    type.unsubscribe(dropped);
    if (isFirst) {
      type.evaluateAll();
      type.mustAnswer = Object.keys(request.initialResourceVersions).length === 0 || type.pending.size > 0;
    }
    if (isFirst || added.length > 0 || dropped.length > 0) {
      events.push({ kind: 'subscription', typeUrl: type.typeUrl, names: type.subscribedNames });
    }
  }

  #rememberNode(node: Node | undefined, events: AdsServerEvent[]): void {
    if (node === undefined || this.#node !== undefined) return;
    this.#node = node;
    events.push({ kind: 'node', node });
  }

  #type(typeUrl: string): ServerType {
    let type = this.#types.get(typeUrl);
    if (type === undefined) {
      type = new ServerType(typeUrl, this.#isDelta);
      type.setDesired(this.#snapshot?.types.get(typeUrl), undefined);
      this.#types.set(typeUrl, type);
    }
    return type;
  }

  /**
   * A client that reconnects asks for clusters first, and may hold routes that it has not asked for yet: what
   * others may refer to is removed only after a first answer to it was accepted.
   */
  #mayRemove(type: ServerType): boolean {
    const others = referrers[type.typeUrl];
    if (others === undefined) return true;
    return type.hasAccepted && others.every((other) => this.#types.get(other)?.isSettled ?? true);
  }

  /** A virtual host whose table the client has in the version that it should have: no route on its way concerns it. */
  readonly #isOfSettledTable = (name: string): boolean => {
    const table = parentName(name);
    const routes = this.#types.get(xdsTypes.route);
    if (table === undefined || routes === undefined) return false;
    const wanted = routes.desired.get(table);
    return wanted !== undefined && routes.known.get(table)?.version === wanted.version;
  };

  #trySend(type: ServerType, may: SendPermission, responses: Uint8Array[]): void {
    if (type.inFlight !== undefined || !type.isServed) return;
    const plan = planSend(type, may);
    if (plan === undefined || this.#isHeldAlready(type, plan)) return;
    const version = this.#isDelta ? (this.#snapshot?.version ?? '') : setVersion(plan.sent);
    const nonce = String(++this.#nonce);
    const head = { typeUrl: type.typeUrl, version, nonce };
    type.inFlight = { nonce, version, ...plan };
    type.lastNonce = nonce;
    type.mustAnswer = false;
    type.hasSent = true;
    responses.push(
      this.#isDelta
        ? encodeDeltaResponse(head, plan.sent, plan.removed)
        : encodeSotwResponse(head, plan.sent),
    );
  }

  /** A client that comes back to a complete set which it has accepted before needs no answer. */
  #isHeldAlready(type: ServerType, plan: SendPlan): boolean {
    const claimed = type.claimedVersion;
    type.claimedVersion = '';
    if (this.#isDelta || claimed === '' || !isFullState(type.typeUrl) || claimed !== setVersion(plan.sent))
      return false;
    for (const [name, resource] of plan.sent) type.known.set(name, resource);
    type.mustAnswer = false;
    type.ackedVersion = claimed;
    type.hasAccepted = true;
    type.evaluateAll();
    return true;
  }

  #settle(
    type: ServerType,
    answered: InFlight,
    error: RpcStatus | undefined,
    events: AdsServerEvent[],
  ): void {
    type.inFlight = undefined;
    if (error !== undefined) {
      this.#refused(type, answered, error.message, events);
      return;
    }
    type.errorDetail = type.rejected.size === 0 ? '' : type.errorDetail;
    type.ackedVersion = answered.version;
    type.hasAccepted = true;
    if (answered.updates.length > 0 && type.suspects.current?.has(answered.updates[0] ?? '') === true)
      type.suspects.clearCurrent();
    type.accepted(answered);
    events.push({
      kind: 'ack',
      typeUrl: type.typeUrl,
      names: answered.updates,
      removed: [...answered.removed],
    });
  }

  #refused(type: ServerType, answered: InFlight, message: string, events: AdsServerEvent[]): void {
    const rejected = new Map<string, string>();
    const named = namedIn(message, answered.updates);
    const culprits =
      named.length > 0
        ? named
        : [type.suspects.refused(answered.updates)].filter((name) => name !== undefined);
    for (const name of culprits) rejected.set(name, answered.sent.get(name)?.version ?? '');
    type.errorDetail = message;
    type.refused(answered, rejected);
    events.push({ kind: 'nack', typeUrl: type.typeUrl, message, rejected });
  }
}
