/**
 * Random configurations, refusals, subscriptions and broken streams between the two machines: in the end
 * the client holds what the server wants it to hold and the client did not refuse, without endless exchanges,
 * and no version that was refused by name came twice on one stream.
 */
import { describe, expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { makeResource, shortTypes, typeUrlOf, versionInside } from '../testing/ads-text.ts';
import type { DeltaDiscoveryRequest, DiscoveryRequest } from '../gen/messages.ts';
import { DeltaDiscoveryRequestTable, DiscoveryRequestTable } from '../gen/tables.ts';
import { decodeMessage } from '../proto/decode.ts';
import { encodeMessage } from '../proto/encode.ts';
import { AdsClient, type AdsVariant } from './client.ts';
import { AdsServerSession } from './server.ts';
import type { AdsResource, AdsSnapshot } from './snapshot.ts';

const names = ['a', 'b', 'c', 'd'];
const refusedVersion = '9';

/** name to version, or absent. Version 9 is one that the client refuses. */
const configuration = fc.dictionary(fc.constantFrom(...names), fc.constantFrom('1', '2', '3', refusedVersion), { noNullPrototype: false }); // prettier-ignore
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('snapshot' as const), cds: configuration, lds: configuration, rds: configuration }) }, // prettier-ignore
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('exchange' as const), messages: fc.integer({ min: 1, max: 4 }) }) }, // prettier-ignore
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('break' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('unsubscribe' as const), name: fc.constantFrom(...names) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('subscribe' as const), name: fc.constantFrom(...names) }),
  },
);
type Configuration = Readonly<Record<string, string>>;

class Model {
  readonly #variant: AdsVariant;
  readonly #namesInErrors: boolean;
  readonly #client: AdsClient;
  #server: AdsServerSession;
  #snapshot: AdsSnapshot = { version: '0', types: new Map() };
  #toServer: Uint8Array[] = [];
  #toClient: Uint8Array[] = [];
  readonly routesWanted = new Set(names);
  readonly held: Record<string, Map<string, string>> = { cds: new Map(), lds: new Map(), rds: new Map() };
  /** Responses carrying a version that was refused before on the same stream. */
  readonly #refusedOnStream = new Set<string>();

  constructor(variant: AdsVariant, namesInErrors: boolean) {
    this.#variant = variant;
    this.#namesInErrors = namesInErrors;
    this.#client = new AdsClient(variant, { id: 'p' });
    this.#client.subscribe(typeUrlOf('cds'), ['*']);
    this.#client.subscribe(typeUrlOf('lds'), ['*']);
    this.#client.subscribe(typeUrlOf('rds'), names);
    this.#server = new AdsServerSession(variant);
    this.reconnect();
  }

  reconnect(): void {
    this.#client.closed();
    this.#toServer = [];
    this.#toClient = [];
    this.#refusedOnStream.clear();
    this.#server = new AdsServerSession(this.#variant);
    this.#server.setSnapshot(this.#snapshot);
    this.#client.opened();
    this.#pump();
  }

  setConfiguration(lists: Readonly<Record<string, Configuration>>): void {
    const types = new Map<string, ReadonlyMap<string, AdsResource>>();
    const changed = new Map<string, ReadonlySet<string>>();
    for (const [short, list] of Object.entries(lists)) {
      const before = this.#snapshot.types.get(typeUrlOf(short));
      const after = new Map(
        Object.entries(list).map(([name, version]) => [name, makeResource(short, name, version)]),
      );
      const differing = names.filter((name) => before?.get(name)?.version !== after.get(name)?.version);
      types.set(typeUrlOf(short), after);
      changed.set(typeUrlOf(short), new Set(differing));
    }
    this.#snapshot = { version: '', types };
    this.#server.setSnapshot(this.#snapshot, changed);
    this.#pump();
  }

  want(name: string, isWanted: boolean): void {
    if (isWanted) {
      this.routesWanted.add(name);
      this.#client.subscribe(typeUrlOf('rds'), [name]);
    } else {
      this.routesWanted.delete(name);
      this.held['rds']?.delete(name);
      this.#client.unsubscribe(typeUrlOf('rds'), [name]);
    }
    this.#pump();
  }

  /** Delivers one message in either direction; false when none is left. */
  exchange(): boolean {
    const request = this.#toServer.shift();
    if (request !== undefined) {
      for (const event of this.#server.receive(request)) if (event.kind === 'broken') throw event.error;
    } else {
      const response = this.#toClient.shift();
      if (response === undefined) return false;
      this.#deliver(response);
    }
    this.#pump();
    return true;
  }

  #deliver(response: Uint8Array): void {
    const received = this.#client.receive(response);
    if (received.kind === 'broken') throw received.error;
    if (received.kind === 'ignored') return;
    const { update } = received;
    const short = Object.keys(shortTypes).find((key) => shortTypes[key] === update.typeUrl) ?? '';
    const held = this.held[short] ?? new Map<string, string>();
    const rejected = update.resources.filter(
      ({ bytes }) => versionInside(update.typeUrl, bytes) === refusedVersion,
    );
    if (this.#namesInErrors) this.#expectFirstRefusal(short, rejected.map(({ name }) => name)); // prettier-ignore
    for (const { name, bytes } of update.resources) {
      const version = versionInside(update.typeUrl, bytes);
      if (version !== refusedVersion) held.set(name, version);
    }
    for (const name of update.removed) held.delete(name);
    this.#client.settle(
      update,
      rejected.map(({ name }) => ({ name, problem: 'no' })),
    );
  }

  /** A client that says only that something is wrong. */
  #withoutNames(bytes: Uint8Array): Uint8Array {
    const table = this.#variant === 'delta' ? DeltaDiscoveryRequestTable : DiscoveryRequestTable;
    const request = decodeMessage<DeltaDiscoveryRequest | DiscoveryRequest>(table, bytes);
    if (request.errorDetail === undefined) return bytes;
    return encodeMessage<object>(table, { ...request, errorDetail: { code: 3, message: 'no' } });
  }

  #expectFirstRefusal(short: string, rejected: readonly string[]): void {
    for (const name of rejected) {
      const key = `${short} ${name}`;
      expect(this.#refusedOnStream.has(key)).toBe(false);
      this.#refusedOnStream.add(key);
    }
  }

  /** New content lifts a refusal: the same version may come again after another one. */
  forgetRefusals(): void {
    this.#refusedOnStream.clear();
  }

  #pump(): void {
    const requests = this.#client.takeRequests();
    this.#toServer.push(
      ...(this.#namesInErrors ? requests : requests.map((bytes) => this.#withoutNames(bytes))),
    );
    this.#toClient.push(...this.#server.takeResponses());
  }
}

function check(variant: AdsVariant, namesInErrors: boolean): void {
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 25 }),
      configuration,
      configuration,
      configuration,
      (steps, cds, lds, rds) => {
        const model = new Model(variant, namesInErrors);
        for (const action of steps) {
          if (action.kind === 'snapshot') {
            model.forgetRefusals();
            model.setConfiguration({ cds: action.cds, lds: action.lds, rds: action.rds });
          } else if (action.kind === 'break') model.reconnect();
          else if (action.kind === 'exchange')
            for (let count = action.messages; count > 0; count--) model.exchange();
          else model.want(action.name, action.kind === 'subscribe');
        }
        model.forgetRefusals();
        const final: Readonly<Record<string, Configuration>> = { cds, lds, rds };
        model.setConfiguration(final);
        let exchanges = 0;
        while (model.exchange()) expect(++exchanges).toBeLessThan(500);
        for (const short of ['cds', 'lds', 'rds']) expectConverged(model, short, final[short] ?? {}, variant);
      },
    ),
    { numRuns: 300, seed: 11 },
  );
}

/** Removals may be held back while something that could refer to them is refused. */
function expectConverged(model: Model, short: string, wanted: Configuration, variant: AdsVariant): void {
  const held = model.held[short] ?? new Map<string, string>();
  for (const name of names) {
    const version = short === 'rds' && !model.routesWanted.has(name) ? undefined : wanted[name];
    if (version !== undefined && version !== refusedVersion)
      expect(`${short} ${name} ${held.get(name)}`).toBe(`${short} ${name} ${version}`);
    if (version === undefined && short === 'lds') expect(held.has(name)).toBe(false);
    if (version === undefined && short === 'rds' && variant === 'delta' && !model.routesWanted.has(name)) expect(held.has(name)).toBe(false); // prettier-ignore
  }
}

describe('server and client converge', () => {
  test('state of the world, refusals by name', () => check('sotw', true));
  test('state of the world, refusals without a name', () => check('sotw', false));
  test('delta, refusals by name', () => check('delta', true));
  test('delta, refusals without a name', () => check('delta', false));
});
