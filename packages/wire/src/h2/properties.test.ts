import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { HeaderList } from '../headers/header-list.ts';
import { SessionPair, fieldsOf } from './session-pair.ts';
import type { SessionUnderTest } from './transcript.ts';
import type { H2Stream } from './stream-types.ts';

const RUNS = 30;
/** A second on a quiet machine. */
const TIMEOUT_MS = 30_000;

/** What one side sends on a stream, and what the other has got of it. */
interface Message {
  sent: number;
  got: number;
  isMixedUp: boolean;
  isEnded: boolean;
  hasGotEnd: boolean;
  trailers: string;
  gotTrailers: string;
  unconsumed: number;
}

type Operation =
  | { readonly kind: 'open'; readonly hasBody: boolean }
  | { readonly kind: 'data'; readonly side: number; readonly stream: number; readonly size: number }
  | { readonly kind: 'end'; readonly side: number; readonly stream: number; readonly hasTrailers: boolean }
  | { readonly kind: 'consume'; readonly side: number; readonly stream: number; readonly size: number }
  | { readonly kind: 'exchange'; readonly maxBytes: number; readonly piece: number }
  | { readonly kind: 'block'; readonly side: number; readonly isWritable: boolean };

const index = fc.nat({ max: 7 });
const side = fc.nat({ max: 1 });
const operation: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({ kind: fc.constant('open' as const), hasBody: fc.boolean() }),
  fc.record({ kind: fc.constant('data' as const), side, stream: index, size: fc.nat({ max: 40_000 }) }),
  fc.record({ kind: fc.constant('end' as const), side, stream: index, hasTrailers: fc.boolean() }),
  fc.record({ kind: fc.constant('consume' as const), side, stream: index, size: fc.nat({ max: 40_000 }) }),
  fc.record({
    kind: fc.constant('exchange' as const),
    maxBytes: fc.constantFrom(1, 7, 100, 5000, 100_000),
    piece: fc.constantFrom(1000, 16_384, 100_000),
  }),
  fc.record({ kind: fc.constant('block' as const), side, isWritable: fc.boolean() }),
);

test(
  'whatever two sessions send each other arrives, in order and whole, within every window',
  () => {
    fc.assert(
      fc.property(
        fc.array(operation, { maxLength: 120, size: 'max' }),
        fc.constantFrom(20, 1000, 65_535, 300_000),
        fc.constantFrom(20, 1000, 65_535, 300_000),
        (operations, clientWindow, serverWindow) => {
          const world = new World(clientWindow, serverWindow);
          for (const each of operations) world.apply(each);
          world.finish();
          world.expectAllArrived();
        },
      ),
      { numRuns: RUNS, seed: 9113 },
    );
  },
  TIMEOUT_MS,
);

class World {
  readonly pair: SessionPair;
  /** By stream: [what the client sends, what the server sends]. */
  readonly #messages = new Map<number, readonly [Message, Message]>();
  readonly #streams: [Map<number, H2Stream>, Map<number, H2Stream>] = [new Map(), new Map()];
  #isConsuming = false;

  constructor(clientWindow: number, serverWindow: number) {
    const settings = (initialWindowBytes: number) => ({
      localSettings: { initialWindowBytes, maxConcurrentStreams: 6 },
      limits: { maxWindowUpdatesPerDataFrame: 1e6, maxUnconsumedBytes: 100_000 },
      consumes: false,
    });
    this.pair = new SessionPair(
      { ...settings(clientWindow), act: (event, stream, peer) => this.#see(0, event, stream, peer) },
      { ...settings(serverWindow), act: (event, stream, peer) => this.#see(1, event, stream, peer) },
    );
    this.pair.settle();
  }

  apply(each: Operation): void {
    switch (each.kind) {
      case 'open':
        return this.#open(each.hasBody);
      case 'data':
        return this.#send(each.side, this.#pick(each.side, each.stream), each.size);
      case 'end':
        return this.#end(each.side, this.#pick(each.side, each.stream), each.hasTrailers);
      case 'consume': {
        const stream = this.#pick(each.side, each.stream);
        if (stream !== undefined) this.#consume(each.side, stream, each.size);
        return;
      }
      case 'exchange':
        this.pair.exchange(each.maxBytes, each.piece);
        return;
      case 'block':
        this.#setWritable(each.side, each.isWritable);
    }
  }

  /** Both sides read everything and end every message. */
  finish(): void {
    this.#isConsuming = true;
    for (const each of [0, 1]) {
      this.#setWritable(each, true);
      for (const stream of this.#streams[each]!.values()) {
        this.#consume(each, stream, Infinity);
        this.#end(each, stream, false);
      }
    }
    this.pair.settle();
    for (const stream of this.#streams[1].values()) this.#end(1, stream, true);
    this.pair.settle();
  }

  expectAllArrived(): void {
    const { client, server } = this.pair;
    expect([client.session.isDead, server.session.isDead]).toEqual([false, false]);
    for (const [id, messages] of this.#messages) {
      for (const message of messages) {
        expect({ id, ...message }).toEqual({
          id,
          ...message,
          got: message.sent,
          isMixedUp: false,
          isEnded: true,
          hasGotEnd: true,
          gotTrailers: message.trailers,
        });
      }
    }
    expect([client.session.openStreamCount, server.session.openStreamCount]).toEqual([0, 0]);
    expect(client.session.stats.dataBytesSent).toBe(server.session.stats.dataBytesReceived);
    expect(server.session.stats.dataBytesSent).toBe(client.session.stats.dataBytesReceived);
  }

  #open(hasBody: boolean): void {
    const stream = this.pair.client.session.open(null);
    if (stream === null) return;
    stream.sendRequestHead(
      hasBody ? 'POST' : 'GET',
      'http',
      'a',
      `/${this.#messages.size}`,
      '',
      new HeaderList(),
      !hasBody,
    );
    const request = emptyMessage();
    request.isEnded = !hasBody;
    this.#messages.set(stream.id, [request, emptyMessage()]);
    this.#streams[0].set(stream.id, stream);
  }

  /** Octets count up, so that any loss or mixture shows. */
  #send(from: number, stream: H2Stream | undefined, size: number): void {
    const message = stream === undefined ? undefined : this.#messages.get(stream.id)?.[from];
    if (stream === undefined || message === undefined || message.isEnded) return;
    const octets = Uint8Array.from({ length: size }, (_, i) => (message.sent + i) & 0xff);
    message.sent += size;
    stream.sendData(octets, 0, size);
  }

  #end(from: number, stream: H2Stream | undefined, hasTrailers: boolean): void {
    const message = stream === undefined ? undefined : this.#messages.get(stream.id)?.[from];
    if (stream === undefined || message === undefined || message.isEnded) return;
    const trailers = new HeaderList();
    if (hasTrailers) trailers.append('x-sent', String(message.sent));
    message.trailers = fieldsOf(trailers);
    message.isEnded = true;
    stream.sendEnd(hasTrailers ? trailers : null);
    // A sender may use its list again at once.
    trailers.reset();
  }

  #consume(to: number, stream: H2Stream, size: number): void {
    const message = this.#messages.get(stream.id)?.[1 - to];
    if (message === undefined) return;
    const count = Math.min(size, message.unconsumed);
    message.unconsumed -= count;
    stream.consumed(count);
  }

  #setWritable(of: number, isWritable: boolean): void {
    const peer = of === 0 ? this.pair.client : this.pair.server;
    peer.isWritable = isWritable;
    if (isWritable) peer.session.onOutputDrain();
  }

  #pick(of: number, at: number): H2Stream | undefined {
    const streams = [...this.#streams[of]!.values()];
    return streams[at % Math.max(1, streams.length)];
  }

  #see(by: number, event: string, stream: H2Stream | null, peer: SessionUnderTest): void {
    if (stream === null) return;
    const message = this.#messages.get(stream.id)?.[1 - by];
    if (message === undefined) return;
    if (event === 'head' && by === 1) {
      this.#streams[1].set(stream.id, stream);
      stream.sendResponseHead(200, new HeaderList(), false);
    }
    if (event === 'head' && stream.isRemoteEnded) message.hasGotEnd = true;
    if (event === 'data') this.#got(by, stream, message, peer);
    if (event === 'end') {
      message.hasGotEnd = true;
      message.gotTrailers = peer.lastTrailers;
    }
    if (event === 'reset') throw new Error(`stream ${stream.id} was reset`);
  }

  #got(by: number, stream: H2Stream, message: Message, peer: SessionUnderTest): void {
    for (const octet of peer.lastData) {
      message.isMixedUp ||= octet !== (message.got & 0xff);
      message.got++;
    }
    message.unconsumed += peer.lastData.length;
    if (this.#isConsuming) this.#consume(by, stream, Infinity);
  }
}

function emptyMessage(): Message {
  return {
    sent: 0,
    got: 0,
    isMixedUp: false,
    isEnded: false,
    hasGotEnd: false,
    trailers: '',
    gotTrailers: '',
    unconsumed: 0,
  };
}
