/** Several attempts of one request, event by event: late callbacks, credit, and any order of events at all. */
import { describe, expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { retryOn } from '../../http/test-doubles.ts';
import { expectNothingHeld } from '../../http/test-fresh-world.ts';
import { STREAM_WINDOW_BYTES } from '../../http/streams.ts';
import type { UpstreamHttpFilter } from '../filter.ts';
import type { Hedging } from './hedging.ts';
import { bodyOf, response, RouterWorld, type FakeStream, type RouterWorldOptions } from './test-router.ts';

const atOnce: Hedging = { initialAttempts: 2, onPerTryTimeout: false };
const retry = retryOn({ fiveXx: true }, { maxRetries: 2, perTryTimeoutMs: 100 });

function world(options: RouterWorldOptions = {}): RouterWorld {
  return new RouterWorld({ hedging: atOnce, action: { retry }, ...options });
}

/** A request with two attempts, both of whose heads have been sent. */
function two(isEnd: boolean, options: RouterWorldOptions = {}) {
  const made = world(options);
  made.start(isEnd);
  const [first, second] = made.streams as [FakeStream, FakeStream];
  first.ready();
  second.ready();
  return { made, first, second };
}

describe('the loser, once the other has answered', () => {
  test('is released, and nothing it still says is heard', () => {
    const { made, first, second } = two(true);
    second.head(200);
    expect([first.isReleased, second.isReleased]).toEqual([true, false]);
    const { sink } = first;
    sink.onInformational(response(103));
    sink.onResponseHead(response(500), false);
    sink.onResponseData(new Uint8Array(9), 0, 9);
    sink.onResponseEnd(null);
    sink.onUpstreamWritable();
    sink.onUpstreamReset('connection-termination', 'late');
    expect([made.begun, made.informed, made.receivedBytes, made.ends]).toEqual([[200], [], 0, 0]);
    second.data(5);
    second.end();
    expect([made.receivedBytes, made.ends, made.replies.length]).toEqual([5, 1, 0]);
    expectNothingHeld(made.cluster);
  });

  test('is heard no more after the end of the request either', () => {
    const { made, first, second } = two(true);
    second.head(200, true);
    for (const { sink } of [first, second]) {
      sink.onResponseHead(response(200), false);
      sink.onResponseData(new Uint8Array(9), 0, 9);
      sink.onResponseEnd(null);
      sink.onUpstreamReset('remote-reset', 'late');
    }
    expect([made.begun, made.receivedBytes, made.ends]).toEqual([[200], 0, 1]);
    expect([made.replies, made.aborts]).toEqual([[], []]);
    expectNothingHeld(made.cluster);
  });

  test('gives back at once a stream that it is handed too late', () => {
    const made = world();
    made.start(true);
    const [first, second] = made.streams as [FakeStream, FakeStream];
    first.ready();
    first.head(200);
    expect(second.isCancelled).toBe(true);
    second.ready();
    expect([second.isReleased, second.request]).toEqual([true, null]);
    expect(made.record.attempts).toBe(1);
    first.end();
    expectNothingHeld(made.cluster);
  });

  test('does not end the request by a timeout of its own', () => {
    const { made, second } = two(true);
    second.head(200);
    made.clock.advance(5000);
    expect([made.replies, made.aborts]).toEqual([[], []]);
    second.end();
    expectNothingHeld(made.cluster);
  });
});

test('the winner gets its credit when the client reads again', () => {
  const { made, second } = two(true);
  second.head(200);
  made.isDownstreamWritable = false;
  second.data(3000);
  expect(second.credited).toBe(0);
  made.isDownstreamWritable = true;
  made.router.onDownstreamWritable();
  expect(second.credited).toBe(3000);
  second.end();
  expectNothingHeld(made.cluster);
});

describe('an attempt that has another in its place', () => {
  const onTimeout: Hedging = { initialAttempts: 1, onPerTryTimeout: true };
  function superseded() {
    const made = world({ hedging: onTimeout });
    made.start(true);
    made.streams[0]!.ready();
    made.clock.advance(100);
    made.streams[1]!.ready();
    return { made, first: made.streams[0]!, second: made.streams[1]! };
  }

  test('has no further try, not even a free one', () => {
    for (const failure of ['refused-stream', 'connection-termination'] as const) {
      const { made, first, second } = superseded();
      first.reset(failure);
      made.clock.advance(90);
      expect(made.streams).toHaveLength(2);
      second.head(200, true);
      expect(made.begun).toEqual([200]);
      expectNothingHeld(made.cluster);
    }
  });

  test('has its tries back when that one is gone', () => {
    const { made, first, second } = superseded();
    second.reset('overflow');
    first.reset();
    made.clock.advance(400);
    expect(made.streams).toHaveLength(3);
    made.streams[2]!.ready();
    made.streams[2]!.head(200, true);
    expect([made.begun, made.record.attempts, made.replies.length]).toEqual([[200], 3, 0]);
    expectNothingHeld(made.cluster);
  });

  test('has its tries back in the next request', () => {
    const { made } = superseded();
    made.finish();
    made.start(true);
    const next = made.streams[2]!;
    next.ready();
    next.reset();
    made.clock.advance(400);
    expect(made.live).toHaveLength(1);
    made.finish();
    expectNothingHeld(made.cluster);
  });
});

describe('credit for the body', () => {
  test('is not given before one can send, though another waits for its connection', () => {
    const made = world();
    made.start(false);
    made.send(1000);
    expect(made.owedBytes).toBe(1000);
    made.streams[1]!.ready();
    expect(made.owedBytes).toBe(0);
    expect(made.streams[1]!.body).toEqual(bodyOf(0, 1000));
  });

  test('ends where the slower one is further behind than what is kept, and comes back with it', () => {
    const { made, first, second } = two(false);
    first.isWritable = false;
    const chunk = 16 * 1024;
    while (made.owedBytes === 0) made.send(chunk);
    const sent = made.sentBytes;
    expect(sent).toBe(64 * 1024 + chunk);
    expect([first.body.length, second.body.length]).toEqual([0, sent]);
    expect(made.router.body.keptBytes).toBe(sent);
    first.isWritable = true;
    first.sink.onUpstreamWritable();
    expect(first.body).toEqual(bodyOf(0, sent));
    expect([made.owedBytes, made.router.body.keptBytes]).toEqual([0, 0]);
  });

  test('comes back when the slower one loses or fails', () => {
    for (const end of [
      (_first: FakeStream, second: FakeStream) => second.head(200),
      (first: FakeStream) => first.reset(),
    ]) {
      const { made, first, second } = two(false, { action: { retry: { ...retry, maxRetries: 1 } } });
      first.isWritable = false;
      while (made.owedBytes === 0) made.send(16 * 1024);
      end(first, second);
      expect(made.owedBytes).toBe(0);
      made.send(100);
      expect([made.owedBytes, made.router.body.keptBytes]).toEqual([0, 0]);
      expect(second.body).toEqual(bodyOf(0, made.sentBytes));
      made.finish();
      expectNothingHeld(made.cluster);
    }
  });
});

test('a lone attempt that takes nothing keeps what comes, past the replay limit too, and no longer than needed', () => {
  const made = world({ hedging: null });
  made.start(false);
  const stream = made.streams[0]!;
  stream.ready();
  for (let i = 0; i < 10; i++) made.send(10_000);
  stream.isWritable = false;
  made.send(1000);
  expect([stream.body.length, made.router.body.keptBytes, made.owedBytes]).toEqual([100_000, 1000, 1000]);
  stream.isWritable = true;
  stream.sink.onUpstreamWritable();
  expect(stream.body).toEqual(bodyOf(0, 101_000));
  expect([made.router.body.keptBytes, made.owedBytes]).toEqual([0, 0]);
  made.finish();
  expectNothingHeld(made.cluster);
});

test('one that is tried again from the first octet is waited for', () => {
  const { made, first, second } = two(false);
  first.isWritable = false;
  while (made.owedBytes === 0) made.send(16 * 1024);
  first.reset();
  expect(made.owedBytes).toBeGreaterThan(0);
  made.clock.advance(400);
  const third = made.streams[2]!;
  third.ready();
  expect([made.owedBytes, made.router.body.keptBytes]).toEqual([0, 0]);
  expect([second.body, third.body]).toEqual([bodyOf(0, made.sentBytes), bodyOf(0, made.sentBytes)]);
  made.finish();
  expectNothingHeld(made.cluster);
});

test('what one has sent before it is tried again is kept for it, though others are further', () => {
  const { made, first, second } = two(false);
  made.send(50_000);
  first.head(503);
  while (made.owedBytes === 0) made.send(10_000);
  expect(made.router.body.isReplayable).toBe(false);
  made.clock.advance(400);
  const third = made.streams[2]!;
  third.ready();
  expect([second.body, third.body]).toEqual([bodyOf(0, made.sentBytes), bodyOf(0, made.sentBytes)]);
  made.finish();
  expectNothingHeld(made.cluster);
});

test('a body that is no longer whole leaves those that live, and no third', () => {
  const { made, first, second } = two(false);
  while (made.sentBytes < 2 * STREAM_WINDOW_BYTES) made.send(1024);
  first.reset();
  expect(made.record.decisions.at(-1)?.detail).toBe('skipped: body over 64 KiB');
  second.reset();
  expect(made.streams).toHaveLength(2);
  expect(made.replies.map(({ code }) => code)).toEqual(['upstream-stream-reset']);
  expectNothingHeld(made.cluster);
});

test('with no policy there is one attempt', () => {
  const made = world({ action: {}, hedging: { initialAttempts: 5, onPerTryTimeout: true } });
  made.start(true);
  expect(made.streams).toHaveLength(1);
  made.streams[0]!.ready();
  made.streams[0]!.head(200, true);
  expect(made.ends).toBe(1);
  expectNothingHeld(made.cluster);
});

test('attempts beside each other are used again, and hold on to nothing meanwhile', () => {
  const made = world({ endpoints: 1 });
  const sinks = new Set<unknown>();
  for (let i = 0; i < 5; i++) {
    made.start(true);
    for (const stream of made.live) stream.ready();
    for (const { sink } of made.live) sinks.add(sink);
    made.live[i % 2]!.head(200, true);
    expectNothingHeld(made.cluster);
  }
  expect(made.ends).toBe(5);
  expect(sinks.size).toBe(2);
  for (const sink of sinks) expect(sink).toMatchObject({ endpoint: null, cluster: null });
});

const streamActs = [
  'ready',
  'block',
  'unblock',
  'good',
  'bad',
  'data',
  'end',
  'reset',
  'refuse',
  'fail-connect',
  'continue',
] as const;
type StreamAct = (typeof streamActs)[number];

const steps = fc.array(
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        kind: fc.constant('stream' as const),
        act: fc.constantFrom(...streamActs),
        which: fc.nat(5),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant('body' as const),
        byteCount: fc.integer({ min: 1, max: 60_000 }),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.constantFrom(1, 30, 100, 101, 400) }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constantFrom('end' as const, 'leave' as const, 'late' as const) }),
    },
  ),
  { maxLength: 60 },
);

/** What a stream may do where it stands; nothing where it may not. */
function act(stream: FakeStream, what: StreamAct): void {
  if (!stream.isReady) {
    if (what === 'ready') stream.ready();
    else if (what === 'fail-connect') stream.reset('connect-failed');
    return;
  }
  if (what === 'block') stream.isWritable = false;
  else if (what === 'unblock') {
    stream.isWritable = true;
    stream.sink.onUpstreamWritable();
  } else if (what === 'reset') stream.reset('connection-termination');
  else if (!stream.hasHead) {
    if (what === 'good') stream.head(200);
    else if (what === 'bad') stream.head(503);
    else if (what === 'refuse') stream.reset('refused-stream');
    else if (what === 'continue') stream.sink.onInformational(response(100));
  } else if (what === 'data') stream.data(1000);
  else if (what === 'end') stream.end();
}

/** What ended streams say all the same, where their attempt has not begun another try. */
function speakLate(made: RouterWorld): void {
  for (const { sink, isOpen } of made.streams) {
    if (isOpen || made.live.some((stream) => stream.sink === sink)) continue;
    if ((sink as unknown as { isOpen: boolean }).isOpen) continue;
    sink.onResponseHead(response(200), false);
    sink.onResponseData(new Uint8Array(1), 0, 1);
    sink.onUpstreamReset('remote-reset', 'late');
  }
}

test('whatever happens in whatever order, one answer comes, all get the body, and nothing is left', () => {
  const options = fc.record({
    initialAttempts: fc.integer({ min: 1, max: 3 }),
    onPerTryTimeout: fc.boolean(),
    retries: fc.nat(3),
    budget: fc.nat(3),
    requests: fc.integer({ min: 1, max: 4 }),
    endpoints: fc.nat(3),
  });
  fc.assert(
    fc.property(options, steps, (given, script) => {
      let heads = 0;
      let ends = 0;
      const filter: UpstreamHttpFilter = {
        onAttemptHead: () => (heads++, 'continue'),
        onAttemptEnd: () => void ends++,
      };
      const policy = retryOn({ fiveXx: true }, { perTryTimeoutMs: 100, maxRetries: given.retries });
      const made = new CountingWorld({
        hedging: given,
        action: { retry: policy },
        endpoints: given.endpoints,
        upstreamFilters: [filter],
      });
      made.cluster.limits.retries.max = given.budget;
      made.cluster.limits.requests.max = given.requests;
      made.start(false);
      let hasEnded = false;
      for (const step of script) {
        if (!made.isActive) break;
        if (step.kind === 'stream') {
          const { live } = made;
          if (live.length > 0) act(live[step.which % live.length]!, step.act);
        } else if (step.kind === 'body') {
          if (!hasEnded && made.owedBytes < STREAM_WINDOW_BYTES) made.send(step.byteCount);
        } else if (step.kind === 'wait') made.clock.advance(step.ms);
        else if (step.kind === 'late') speakLate(made);
        else if (step.kind === 'leave') made.finish();
        else if (!hasEnded) {
          hasEnded = true;
          made.router.end(null);
        }
        check(made);
      }
      if (made.isActive) made.finish();
      made.clock.advance(120_000);
      speakLate(made);
      expect(made.begun.length + made.replies.length).toBeLessThanOrEqual(1);
      expect(made.live).toEqual([]);
      expect(heads).toBe(ends);
      expectNothingHeld(made.cluster);
      made.router.dispose();
      expect(made.wheel.size).toBe(0);
    }),
    { numRuns: 1500 },
  );
});

class CountingWorld extends RouterWorld {
  override upstreamFilterContext(): never {
    return null as never;
  }
}

function check(made: RouterWorld): void {
  expect(made.begun.length + made.replies.length).toBeLessThanOrEqual(1);
  const { live, isActive } = made;
  if (!isActive || made.begun.length > 0) expect(live.length).toBeLessThanOrEqual(isActive ? 1 : 0);
  expect(made.cluster.limits.requests.current).toBe(live.length);
  if (!isActive) return;
  for (const stream of live) {
    const { body } = stream;
    expect(body.equals(bodyOf(0, body.length))).toBe(true);
    if (stream.isReady && stream.isWritable) expect(body.length).toBe(made.sentBytes);
  }
  // What is kept for replay, and what came on credit that was given when the slowest was just near enough.
  expect(made.router.body.keptBytes).toBeLessThanOrEqual(64 * 1024 + STREAM_WINDOW_BYTES + 60_000);
}

describe('upstream_rq_cancelled counts what was given up before it had a connection', () => {
  const cancelled = ({ cluster }: RouterWorld): number => cluster.stats.counts['requestCancelled'] ?? 0;

  test('by the client, and not what had been sent', () => {
    const made = world();
    made.start(true);
    made.streams[0]!.ready();
    made.finish();
    expect([made.streams[0]!.isReleased, made.streams[1]!.isCancelled]).toEqual([true, true]);
    expect(cancelled(made)).toBe(1);
    expectNothingHeld(made.cluster);
  });

  test('by the answer of the other attempt', () => {
    const made = world();
    made.start(true);
    made.streams[1]!.ready();
    made.streams[1]!.head(200, true);
    expect(cancelled(made)).toBe(1);
    expectNothingHeld(made.cluster);
  });

  test('by the route timeout', () => {
    const made = world({ hedging: null, action: { timeoutMs: 1000 } });
    made.start(true);
    made.clock.advance(1010);
    expect(made.replies.map(({ status }) => status)).toEqual([504]);
    expect(cancelled(made)).toBe(1);
    expectNothingHeld(made.cluster);
  });

  test('and not what its pool could not connect or refused', () => {
    for (const reset of ['connect-failed', 'overflow'] as const) {
      const made = world({ hedging: null, endpoints: 1, action: { retry: null } });
      made.start(true);
      made.streams[0]!.reset(reset);
      expect([made.replies.length, cancelled(made)]).toEqual([1, 0]);
      expectNothingHeld(made.cluster);
    }
  });
});
