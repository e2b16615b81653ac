/**
 * The client's side of one ADS stream, for all its types, in either variant of the protocol.
 *
 * A machine: it is told of subscriptions, of the stream opening and closing and of messages, and keeps
 * the requests to be sent until `takeRequests`. It decides nothing about resources: each response becomes
 * an update whose resources the caller judges one by one, and `settle` turns the verdict into ACK or NACK.
 * Good companions of a bad resource are kept; the response as a whole is then NACKed, naming the bad ones.
 *
 * Invariant: nothing is forgotten when a stream breaks. The next stream begins with what is already held,
 * so an unchanged configuration is not transferred (delta) or not applied (state of the world) again.
 */
import { DeltaDiscoveryRequestTable, DiscoveryRequestTable } from '../gen/tables.ts';
import type { DeltaDiscoveryRequest, DiscoveryRequest, Node } from '../gen/messages.ts';
import { encodeMessage } from '../proto/encode.ts';
import { XdsDecodeError } from '../proto/error.ts';
import type { Init } from '../proto/values.ts';
import { readDeltaResponse, readSotwResponse } from './client-response.ts';
import { ClientType } from './client-type.ts';
import { additionOrder } from './types.ts';
import type { AdsUpdate, RejectedResource } from './update.ts';

export type AdsVariant = 'sotw' | 'delta';

/** What became of a received message. */
export type AdsReceived =
  | { readonly kind: 'update'; readonly update: AdsUpdate }
  /** Of a type that is not subscribed to (any more): answered by itself, nothing to do. */
  | { readonly kind: 'ignored'; readonly typeUrl: string }
  /** Not even an envelope: the stream is of no use and should be closed. */
  | { readonly kind: 'broken'; readonly error: XdsDecodeError };

export class AdsClient {
  readonly #variant: AdsVariant;
  readonly #node: Init<Node>;
  readonly #types = new Map<string, ClientType>();
  #outgoing: Uint8Array[] = [];
  #isOpen = false;
  #nodeSent = false;

  constructor(variant: AdsVariant, node: Init<Node>) {
    this.#variant = variant;
    this.#node = node;
  }

  get variant(): AdsVariant {
    return this.#variant;
  }

  /** `names` may hold the wildcard `*`. What is already subscribed to stays as it is. */
  subscribe(typeUrl: string, names: Iterable<string>): void {
    const type = this.#type(typeUrl);
    const added = [...names].filter((name) => type.add(name));
    if (added.length > 0 && this.#isOpen) this.#subscriptionChanged(typeUrl, type, added, []);
  }

  unsubscribe(typeUrl: string, names: Iterable<string>): void {
    const type = this.#type(typeUrl);
    const dropped = [...names].filter((name) => type.drop(name));
    if (dropped.length > 0 && this.#isOpen) this.#subscriptionChanged(typeUrl, type, [], dropped);
  }

  /** Subscribed to by name, and never received or since removed: the caller times their absence. */
  missing(typeUrl: string): readonly string[] {
    return this.#types.get(typeUrl)?.missing() ?? [];
  }

  /** A stream is open: the first requests of all types are made ready. */
  opened(): void {
    this.#isOpen = true;
    this.#nodeSent = false;
    this.#outgoing = [];
    for (const typeUrl of inOrder(this.#types.keys())) {
      const type = this.#types.get(typeUrl);
      if (type === undefined) continue;
      type.streamOpened();
      if (type.isSubscribed) this.#sendFirst(typeUrl, type);
    }
  }

  /** The stream is gone: what was not sent is dropped, what is held stays. */
  closed(): void {
    this.#isOpen = false;
    this.#outgoing = [];
  }

  takeRequests(): readonly Uint8Array[] {
    const requests = this.#outgoing;
    this.#outgoing = [];
    return requests;
  }

  /** Resource bytes in the update are views of `bytes`. An update must be settled before the next is received. */
  receive(bytes: Uint8Array): AdsReceived {
    try {
      const read = this.#variant === 'sotw' ? readSotwResponse : readDeltaResponse;
      const update = read(bytes, (typeUrl) => this.#types.get(typeUrl));
      const type = this.#types.get(update.typeUrl);
      if (type?.isSubscribed === true) {
        type.lastNonce = update.nonce;
        return { kind: 'update', update };
      }
      this.#refuseUnknownType(update);
      return { kind: 'ignored', typeUrl: update.typeUrl };
    } catch (error) {
      if (error instanceof XdsDecodeError) return { kind: 'broken', error };
      throw error;
    }
  }

  /** `rejected`: what the caller does not take, with the reasons; everything else of the update counts as held. */
  settle(update: AdsUpdate, rejected: readonly RejectedResource[]): void {
    const type = this.#type(update.typeUrl);
    const problems = [...update.problems, ...rejected];
    type.apply(update, new Set(rejected.map((resource) => resource.name)));
    if (problems.length === 0) type.ackedVersion = update.version;
    if (this.#isOpen) this.#send(update.typeUrl, type, update.nonce, problems);
  }

  #refuseUnknownType(update: AdsUpdate): void {
    if (!this.#isOpen) return;
    const type = this.#types.get(update.typeUrl) ?? new ClientType(update.typeUrl);
    this.#send(update.typeUrl, type, update.nonce, [{ name: '', problem: 'not subscribed to this type' }]);
  }

  #subscriptionChanged(
    typeUrl: string,
    type: ClientType,
    added: readonly string[],
    dropped: readonly string[],
  ): void {
    if (!type.requestSent) {
      this.#sendFirst(typeUrl, type);
      return;
    }
    if (this.#variant === 'sotw') this.#send(typeUrl, type, type.lastNonce, []);
    else {
      this.#queueDelta({ typeUrl, resourceNamesSubscribe: added, resourceNamesUnsubscribe: dropped });
    }
  }

  #sendFirst(typeUrl: string, type: ClientType): void {
    type.requestSent = true;
    if (this.#variant === 'sotw') {
      this.#queueSotw({ typeUrl, versionInfo: type.ackedVersion, resourceNames: type.requestNames() });
    } else {
      this.#queueDelta({
        typeUrl,
        resourceNamesSubscribe: type.requestNames(),
        initialResourceVersions: type.heldVersions(),
      });
    }
  }

  #send(typeUrl: string, type: ClientType, nonce: string, problems: readonly RejectedResource[]): void {
    const errorDetail =
      problems.length === 0
        ? {}
        : { errorDetail: { code: grpcInvalidArgument, message: nackMessage(problems) } };
    if (this.#variant === 'delta') this.#queueDelta({ typeUrl, responseNonce: nonce, ...errorDetail });
    else {
      this.#queueSotw({
        typeUrl,
        versionInfo: type.ackedVersion,
        resourceNames: type.requestNames(),
        responseNonce: nonce,
        ...errorDetail,
      });
    }
  }

  #queueSotw(request: Init<DiscoveryRequest>): void {
    this.#outgoing.push(encodeMessage(DiscoveryRequestTable, { ...request, ...this.#firstNode() }));
  }

  #queueDelta(request: Init<DeltaDiscoveryRequest>): void {
    this.#outgoing.push(encodeMessage(DeltaDiscoveryRequestTable, { ...request, ...this.#firstNode() }));
  }

  /** The node goes with the first request of a stream only. */
  #firstNode(): { node?: Init<Node> } {
    if (this.#nodeSent) return {};
    this.#nodeSent = true;
    return { node: this.#node };
  }

  #type(typeUrl: string): ClientType {
    let type = this.#types.get(typeUrl);
    if (type === undefined) this.#types.set(typeUrl, (type = new ClientType(typeUrl)));
    return type;
  }
}

const grpcInvalidArgument = 3;
const maxNackChars = 4_000;

/** `name: problem`, one a line: people read it in the resource's status, and the server finds the names in it. */
function nackMessage(problems: readonly RejectedResource[]): string {
  const text = problems
    .map(({ name, problem }) => (name === '' ? problem : `${name}: ${problem}`))
    .join('\n');
  return text.length > maxNackChars ? `${text.slice(0, maxNackChars)}…` : text;
}

function inOrder(typeUrls: Iterable<string>): readonly string[] {
  const rank = (typeUrl: string): number => {
    const index = additionOrder.indexOf(typeUrl);
    return index < 0 ? additionOrder.length : index;
  };
  return [...typeUrls].sort((a, b) => rank(a) - rank(b));
}
