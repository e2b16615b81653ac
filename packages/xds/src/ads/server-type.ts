/**
 * One resource type of one client's stream: what it asked for, what it is known to hold, what is on its way.
 *
 * `known` changes only on ACK. What differs between `known` and the desired set is `pending`, kept up to date
 * name by name, so that a push costs what changed. A refused version stays in `rejected` until its content
 * changes; until then the client is left with its last good one.
 */
import { changedNames } from './changed-names.ts';
import type { AdsResource, AdsResources } from './snapshot.ts';
import { SuspectQueue } from './nack.ts';
import { allowsWildcard, coversChildren, isFullState, parentName, wildcard } from './types.ts';

export interface InFlight {
  readonly nonce: string;
  readonly version: string;
  /** What the client holds when it accepts; for complete responses, all that it then holds. */
  readonly sent: AdsResources;
  /** Names among `sent` that are new to the client: only these can be at fault. */
  readonly updates: readonly string[];
  readonly removed: ReadonlySet<string>;
}

const nothing: AdsResources = new Map();

export class ServerType {
  readonly typeUrl: string;
  readonly isDelta: boolean;
  readonly known = new Map<string, AdsResource>();
  /** Were in a refused response without being at fault: the client may have taken them or not. */
  readonly uncertain = new Set<string>();
  /** Name to refused version. */
  readonly rejected = new Map<string, string>();
  readonly pending = new Set<string>();
  readonly suspects = new SuspectQueue();
  readonly #names = new Set<string>();
  #isWildcard = false;
  /** Asked for, not existing, and the client has been told (delta). */
  readonly #toldMissing = new Set<string>();
  #desired: AdsResources | undefined;
  #byAlias: ReadonlyMap<string, string> | undefined;

  inFlight: InFlight | undefined;
  /** The first request waits for an answer even if there is nothing to say. */
  mustAnswer = false;
  lastNonce = '';
  ackedVersion = '';
  /** What a reconnecting client says it has accepted (state of the world). */
  claimedVersion = '';
  errorDetail = '';
  hasSent = false;
  /** On this stream. */
  hasAccepted = false;

  constructor(typeUrl: string, isDelta: boolean) {
    this.typeUrl = typeUrl;
    this.isDelta = isDelta;
  }

  /** False while the snapshot does not have this type: nothing can be said of it. */
  get isServed(): boolean {
    return this.#desired !== undefined;
  }

  get desired(): AdsResources {
    return this.#desired ?? nothing;
  }

  /** The client has everything and has taken everything. */
  get isSettled(): boolean {
    const owesAnswer = this.mustAnswer && this.isServed;
    return this.inFlight === undefined && this.pending.size === 0 && this.rejected.size === 0 && !owesAnswer;
  }

  get subscribedNames(): readonly string[] {
    return this.#isWildcard ? [wildcard, ...this.#names] : [...this.#names];
  }

  setDesired(resources: AdsResources | undefined, changed: ReadonlySet<string> | undefined): void {
    const previous = this.#desired;
    if (resources === previous) return;
    this.#desired = resources;
    this.#byAlias = undefined;
    if (previous === undefined || resources === undefined) this.evaluateAll();
    else for (const name of changed ?? changedNames(previous, resources)) this.evaluate(name);
  }

  /** State of the world: the names are the whole subscription. Returns whether it changed. */
  replaceNames(names: readonly string[], isFirst: boolean): boolean {
    const wasWildcard = this.#isWildcard;
    let hasChanged = false;
    // Once something was named, naming nothing means wanting nothing.
    if (names.length === 0) this.#isWildcard = allowsWildcard(this.typeUrl) && (isFirst || this.#isWildcard);
    else this.#isWildcard = names.includes(wildcard);
    const wanted = new Set(names.filter((name) => name !== wildcard));
    for (const name of this.#names) {
      if (wanted.has(name)) continue;
      this.#dropName(name);
      hasChanged = true;
    }
    for (const name of wanted) {
      if (this.#names.has(name)) continue;
      this.#addName(name);
      hasChanged = true;
    }
    if (wasWildcard !== this.#isWildcard) this.evaluateAll();
    return hasChanged || wasWildcard !== this.#isWildcard;
  }

  /** Delta: what is subscribed to anew is sent even if it was held before, unless it came with its version. */
  subscribe(names: readonly string[], isFirst: boolean): void {
    if (isFirst && names.length === 0 && allowsWildcard(this.typeUrl)) this.#addWildcard();
    for (const name of names) {
      if (name === wildcard) this.#addWildcard();
      else this.#addName(name, isFirst);
    }
  }

  unsubscribe(names: readonly string[]): void {
    for (const name of names) {
      if (name === wildcard) {
        this.#isWildcard = false;
        for (const known of this.known.keys()) if (!this.wants(known)) this.#forget(known);
        this.evaluateAll();
      } else this.#dropName(name);
    }
  }

  /** What a reconnecting client says it still holds (delta). */
  assumeHeld(versions: Readonly<Record<string, string>>): void {
    for (const name of Object.keys(versions)) {
      this.known.set(name, { version: versions[name] ?? '', bytes: new Uint8Array(0) });
    }
  }

  /** Decides whether the client lacks something of this name. */
  evaluate(name: string): void {
    const wanted = this.wants(name) ? this.desired.get(name) : undefined;
    const refused = this.rejected.get(name);
    if (refused !== undefined && refused !== wanted?.version) {
      this.rejected.delete(name);
      this.suspects.forget(name);
    }
    const known = this.known.get(name);
    const differs =
      wanted === undefined
        ? this.#needsRemoval(name, known)
        : (wanted.version !== known?.version || this.uncertain.has(name)) &&
          this.rejected.get(name) !== wanted.version;
    if (differs && this.isServed) this.pending.add(name);
    else this.pending.delete(name);
  }

  evaluateAll(): void {
    this.pending.clear();
    for (const name of this.desired.keys()) if (this.wants(name)) this.evaluate(name);
    for (const name of [...this.known.keys(), ...this.uncertain, ...this.rejected.keys()])
      if (!this.desired.has(name) || !this.wants(name)) this.evaluate(name);
    for (const name of this.#names) if (!this.desired.has(name)) this.evaluate(name);
  }

  wantedNames(): readonly string[] {
    return [...this.desired.keys()].filter((name) => this.wants(name));
  }

  /** The client has taken a response. What it unsubscribed from in the meantime does not count as held. */
  accepted(answered: InFlight): void {
    const isAll = !this.isDelta && isFullState(this.typeUrl);
    if (isAll) {
      this.known.clear();
      this.uncertain.clear();
    }
    for (const [name, resource] of answered.sent) {
      this.uncertain.delete(name);
      if (this.wants(name)) this.known.set(name, resource);
    }
    this.#removed(answered.removed);
    if (isAll) this.evaluateAll();
    else
      for (const names of [answered.sent.keys(), answered.removed])
        for (const name of names) this.evaluate(name);
  }

  /** The client has refused a response; with nothing new in it, its removals are taken as done: asking again helps nobody. */
  refused(answered: InFlight, rejected: ReadonlyMap<string, string>): void {
    for (const [name, version] of rejected) {
      this.rejected.set(name, version);
      this.suspects.forget(name);
    }
    for (const name of answered.updates) if (!rejected.has(name)) this.uncertain.add(name);
    if (answered.updates.length === 0) this.#removed(answered.removed);
    this.evaluateAll();
  }

  #removed(names: ReadonlySet<string>): void {
    for (const name of names) {
      this.known.delete(name);
      this.uncertain.delete(name);
      if (this.#names.has(name)) this.#toldMissing.add(name);
    }
  }

  wants(name: string): boolean {
    if (this.#isWildcard || this.#names.has(name)) return true;
    const parent = coversChildren(this.typeUrl) ? parentName(name) : undefined;
    if (parent !== undefined && this.#names.has(parent)) return true;
    return this.desired.get(name)?.aliases?.some((alias) => this.#names.has(alias)) ?? false;
  }

  #needsRemoval(name: string, known: AdsResource | undefined): boolean {
    if (known !== undefined || this.uncertain.has(name)) return this.isDelta || isFullState(this.typeUrl);
    if (!this.isDelta || !this.#names.has(name) || this.#toldMissing.has(name)) return false;
    return !this.#standsForOthers(name);
  }

  /** A name that is an alias, or the parent of virtual hosts, is answered by other names. */
  #standsForOthers(name: string): boolean {
    if (coversChildren(this.typeUrl) && !name.includes('/')) return true;
    return this.#aliases().has(name);
  }

  #aliases(): ReadonlyMap<string, string> {
    if (this.#byAlias === undefined) {
      const byAlias = new Map<string, string>();
      for (const [name, { aliases = [] }] of this.desired)
        for (const alias of aliases) byAlias.set(alias, name);
      this.#byAlias = byAlias;
    }
    return this.#byAlias;
  }

  #addWildcard(): void {
    if (this.#isWildcard) return;
    this.#isWildcard = true;
    this.evaluateAll();
  }

  #addName(name: string, keepHeld = false): void {
    this.#names.add(name);
    this.#toldMissing.delete(name);
    for (const answer of this.#answersTo(name)) {
      if (!keepHeld) this.#forget(answer);
      this.evaluate(answer);
    }
  }

  #dropName(name: string): void {
    const answers = this.#answersTo(name);
    this.#names.delete(name);
    this.#toldMissing.delete(name);
    for (const answer of answers) {
      if (this.wants(answer)) continue;
      this.#forget(answer);
      this.evaluate(answer);
    }
  }

  #forget(name: string): void {
    this.known.delete(name);
    this.uncertain.delete(name);
    this.rejected.delete(name);
    this.suspects.forget(name);
  }

  /** Names of the resources that a subscription to this name brings. */
  #answersTo(name: string): readonly string[] {
    const answers = new Set([name]);
    const aliased = this.#aliases().get(name);
    if (aliased !== undefined) answers.add(aliased);
    if (coversChildren(this.typeUrl)) {
      for (const other of [...this.desired.keys(), ...this.known.keys()])
        if (parentName(other) === name) answers.add(other);
    }
    return [...answers];
  }
}
