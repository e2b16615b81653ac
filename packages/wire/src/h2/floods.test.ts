import { describe, expect, test } from 'bun:test';
import {
  END_HEADERS,
  block,
  continuation,
  data,
  frame,
  get,
  headers,
  join,
  ping,
  post,
  priority,
  resetStream,
  settings,
  settingsAck,
  windowUpdate,
  word,
} from './frame-builder.ts';
import { defaultH2Limits } from './limits.ts';
import type { H2Stats } from './session-types.ts';
import { SessionUnderTest, type SessionTestOptions } from './transcript.ts';

const CALM = 'ENHANCE_YOUR_CALM';

function times(count: number, make: (i: number) => Uint8Array): Uint8Array {
  return join(...Array.from({ length: count }, (_, i) => make(i)));
}

/** Gives frames until the session dies; how many it took, -1 if it lives. */
function survive(peer: SessionUnderTest, count: number, make: (i: number) => Uint8Array): number {
  for (let i = 0; i < count; i++) {
    peer.receive(make(i));
    if (peer.session.isDead) return i + 1;
  }
  return -1;
}

function expectFlood(peer: SessionUnderTest, counter: keyof H2Stats): void {
  expect(peer.session.isDead).toBe(true);
  expect(peer.lines.some((line) => line.startsWith(`failure ${CALM}`))).toBe(true);
  expect(peer.lines.at(-1)).toMatch(new RegExp(`^< GOAWAY \\d+ ${CALM}$`));
  expect(peer.session.stats[counter]).toBe(1);
}

const id = (i: number): number => 1 + 2 * i;

describe('an HTTP/2 peer is cut off when it', () => {
  test('resets what it has just opened (CVE-2023-44487)', () => {
    const peer = new SessionUnderTest().greet();
    const taken = survive(peer, 2000, (i) => join(headers(id(i), get), resetStream(id(i), 8)));
    expect(taken).toBe(defaultH2Limits.prematureResetStreamCount);
    expectFlood(peer, 'prematureResetFlood');
  });

  test('makes us reset what it has just opened (CVE-2025-8671)', () => {
    const provocations: readonly ((i: number) => Uint8Array)[] = [
      (i) => join(headers(id(i), post, END_HEADERS), windowUpdate(id(i), 0)),
      (i) => join(headers(id(i), post, END_HEADERS), windowUpdate(id(i), 0x7fffffff)),
      (i) => join(headers(id(i), post, END_HEADERS), frame(2, 0, id(i), word(0))),
      (i) => join(headers(id(i), get), data(id(i), 'x')),
      (i) => join(headers(id(i), get), headers(id(i), [['x', 'y']])),
      (i) => headers(id(i), [...get, ['Upper', 'x']]),
    ];
    for (const provoke of provocations) {
      const peer = new SessionUnderTest().greet();
      expect(survive(peer, 2000, provoke)).toBe(defaultH2Limits.prematureResetStreamCount);
      expectFlood(peer, 'provokedResetFlood');
    }
  });

  test('never ends a header block (CVE-2024-27316)', () => {
    const many = new SessionUnderTest().greet(frame(1, 0, 1, block(get)));
    survive(many, 100, () => continuation(1, block([['x', 'y']]), false));
    expectFlood(many, 'continuationFlood');
    const large = new SessionUnderTest().greet(frame(1, 0, 1, block(get)));
    expect(survive(large, 10, () => continuation(1, new Uint8Array(16_000), false))).toBe(3);
    expectFlood(large, 'continuationFlood');
  });

  test('sends frames without content (CVE-2019-9518)', () => {
    const empties: readonly Uint8Array[] = [
      data(1, ''),
      frame(0, 8, 1, join(Uint8Array.of(3), new Uint8Array(3))),
    ];
    for (const empty of empties) {
      const peer = new SessionUnderTest().greet(headers(1, post, END_HEADERS));
      expect(survive(peer, 10, () => empty)).toBe(2);
      expectFlood(peer, 'emptyFrameFlood');
    }
    const peer = new SessionUnderTest().greet(frame(1, 0, 1, block(get)));
    expect(survive(peer, 10, () => continuation(1, new Uint8Array(0), false))).toBe(2);
    expectFlood(peer, 'emptyFrameFlood');
  });

  test('pings without end (CVE-2019-9512)', () => {
    const peer = new SessionUnderTest().greet();
    expect(survive(peer, 5000, ping)).toBe(defaultH2Limits.pingBurst + 1);
    expectFlood(peer, 'pingFlood');
  });

  test('sends SETTINGS without end (CVE-2019-9515)', () => {
    const peer = new SessionUnderTest().greet();
    // Two were the handshake's.
    expect(survive(peer, 5000, () => settings())).toBe(defaultH2Limits.settingsBurst - 1);
    expectFlood(peer, 'settingsFlood');
    const acks = new SessionUnderTest().greet();
    survive(acks, 5000, () => settingsAck);
    expectFlood(acks, 'settingsFlood');
  });

  test('sends PRIORITY without end (CVE-2019-9513)', () => {
    const peer = new SessionUnderTest().greet(headers(1, get));
    expect(survive(peer, 5000, () => priority(1, 0))).toBe(
      2 * defaultH2Limits.maxPriorityFramesPerStream + 1,
    );
    expectFlood(peer, 'priorityFlood');
  });

  test('sends WINDOW_UPDATE without end', () => {
    const peer = new SessionUnderTest().greet(headers(1, get));
    expect(survive(peer, 5000, () => windowUpdate(0, 1))).toBe(8);
    expectFlood(peer, 'windowUpdateFlood');
  });

  test('sends what has no effect without end', () => {
    const useless: readonly Uint8Array[] = [
      frame(0x77, 0, 0, word(0)),
      resetStream(1, 8),
      windowUpdate(1, 1),
    ];
    for (const octets of useless) {
      const peer = new SessionUnderTest({ limits: { maxWindowUpdatesPerDataFrame: 1e6 } });
      peer.greet(headers(1, post, END_HEADERS));
      peer.streams[0]?.reset(8);
      peer.session.stats.dataFramesSent = 1;
      survive(peer, 5000, () => octets);
      expectFlood(peer, 'ignoredFrameFlood');
    }
  });

  test('opens streams above the limit without end', () => {
    const peer = new SessionUnderTest({ localSettings: { maxConcurrentStreams: 1 } });
    peer.greet(headers(1, post, END_HEADERS));
    survive(peer, 5000, (i) => headers(id(i + 1), get));
    expectFlood(peer, 'ignoredFrameFlood');
    expect(peer.session.stats.refusedStreams).toBe(defaultH2Limits.ignoredFrameBurst + 1);
  });

  test('makes us answer and does not read (CVE-2019-9514)', () => {
    const peer = new SessionUnderTest().greet();
    peer.isWritable = false;
    peer.receive(times(defaultH2Limits.pingBurst, ping));
    expect(peer.session.isDead).toBe(false);
    peer.nowMs = 1000;
    peer.receive(times(2, ping));
    expectFlood(peer, 'outboundControlFlood');
  });

  test('asks for answers and does not read them', () => {
    const answers: SessionTestOptions = {
      limits: { maxOutboundFrames: 50 },
      act: (event, stream) => {
        if (event === 'head') stream?.sendResponseHead(200, stream.headers, true);
      },
    };
    const peer = new SessionUnderTest(answers).greet();
    peer.isWritable = false;
    survive(peer, 500, (i) => headers(id(i), get));
    expectFlood(peer, 'outboundFlood');
    expect(peer.session.stats.streamsOpened).toBe(51);
  });
});

describe('an honest peer is not cut off for', () => {
  const answers: SessionTestOptions = {
    act: (event, stream) => {
      if (event === 'head' && stream?.pseudo.method === 'GET')
        stream.sendResponseHead(200, stream.headers, true);
    },
  };

  test('resetting fewer than half of its streams, however many', () => {
    const peer = new SessionUnderTest(answers).greet();
    const next = (i: number): Uint8Array =>
      i % 5 < 3 ? headers(id(i), get) : join(headers(id(i), post, END_HEADERS), resetStream(id(i), 8));
    expect(survive(peer, 3000, next)).toBe(-1);
  });

  test('resetting old streams, or answered ones', () => {
    const peer = new SessionUnderTest({ localSettings: { maxConcurrentStreams: 5000 } }).greet();
    peer.receive(times(2000, (i) => headers(id(i), get)));
    peer.nowMs = defaultH2Limits.prematureResetAgeMs;
    expect(survive(peer, 2000, (i) => resetStream(id(i), 8))).toBe(-1);
  });

  test('pinging and changing settings at a rate', () => {
    const peer = new SessionUnderTest().greet();
    expect(
      survive(peer, 5000, () => {
        peer.nowMs += 100;
        return join(settings(), ping());
      }),
    ).toBe(-1);
  });

  test('a window update for each DATA frame', () => {
    const body = new Uint8Array(100);
    const peer = new SessionUnderTest({
      act: (event, stream) => {
        if (event !== 'head' || stream === null) return;
        stream.sendResponseHead(200, stream.headers, false);
        for (let i = 0; i < 10; i++) stream.sendData(body, 0, 100, i === 9);
      },
    }).greet();
    const next = (i: number): Uint8Array =>
      join(headers(id(i), get), ...Array.from({ length: 10 }, () => windowUpdate(0, 100)));
    expect(survive(peer, 500, next)).toBe(-1);
  });
});

describe('a header list', () => {
  const localSettings = { maxHeaderListBytes: 8000 };
  const large = (count: number, size: number): readonly (readonly [string, string])[] => [
    ...get,
    ...Array.from({ length: count }, (_, i) => [`x-${i}`, 'v'.repeat(size)] as const),
  ];

  test('of too many octets or fields is told to the owner without them, and the connection goes on', () => {
    for (const fields of [large(10, 1000), large(120, 1)]) {
      const peer = new SessionUnderTest({ localSettings }).greet(headers(1, fields), headers(3, get));
      expect(peer.lines).toEqual(['too-large 1 end', 'head 3 GET http a / host=a end']);
      expect(peer.streams[0]?.headers.count).toBe(0);
      expect(peer.session.stats.headerListsTooLarge).toBe(1);
    }
  });

  test('that a few octets of indexes make large is not expanded (HPACK bomb)', () => {
    const entry = join(Uint8Array.of(0x40, 1, 0x78, 0x7f, 0xa1, 0x1e), new Uint8Array(4000).fill(0x61));
    const peer = new SessionUnderTest().greet(
      frame(1, END_HEADERS | 1, 1, join(block(get), entry)),
      frame(1, END_HEADERS | 1, 3, join(block(get), new Uint8Array(16_000).fill(0xbe))),
      headers(5, get),
    );
    expect(peer.lines.map((line) => line.slice(0, 12))).toEqual([
      'head 1 GET h',
      'too-large 3 ',
      'head 5 GET h',
    ]);
  });

  test('of a response resets its stream only', () => {
    const peer = new SessionUnderTest({ role: 'client', localSettings }).greet();
    const stream = peer.session.open(null);
    stream?.sendRequestHead('GET', 'http', 'a', '/', '', stream.headers, true);
    peer.read().lines.length = 0;
    peer.receive(headers(1, [[':status', '200'], ...large(10, 1000).slice(4)]));
    expect(peer.lines).toEqual([`reset 1 ${CALM} by-us`, `< RST_STREAM 1 ${CALM}`]);
  });
});

describe('a peer that gives no window', () => {
  const sends: SessionTestOptions = {
    act: (event, stream) => {
      if (event !== 'head' || stream === null) return;
      stream.sendResponseHead(200, stream.headers, false);
      stream.sendData(new Uint8Array(100), 0, 100, true);
    },
  };

  test('stalls its streams: seen from the first look, over at the first octet, reset on demand', () => {
    const peer = new SessionUnderTest(sends).greet(settings([4, 10]), headers(1, get), headers(3, get));
    const { session } = peer;
    expect(session.oldestStallMs(1000)).toBe(0);
    expect(session.oldestStallMs(3000)).toBe(2000);
    peer.receive(windowUpdate(1, 5));
    expect(session.oldestStallMs(4000)).toBe(3000);
    expect(session.resetStalled(4000, 2000)).toBe(1);
    expect(peer.read().lines.slice(-2)).toEqual(['reset 3 CANCEL by-us', '< RST_STREAM 3 CANCEL']);
    peer.receive(windowUpdate(1, 1000));
    expect(session.oldestStallMs(9000)).toBe(-1);
    expect(session.openStreamCount).toBe(0);
  });

  test('is not stalled by an output of ours that is full', () => {
    const peer = new SessionUnderTest(sends).greet();
    peer.isWritable = false;
    peer.receive(headers(1, get));
    expect(peer.session.oldestStallMs(1000)).toBe(-1);
  });
});

describe('what waits in a stream', () => {
  test('is told by isWritable, and its owner when half of it has gone', () => {
    const peer = new SessionUnderTest({ limits: { streamQueueBytes: 1000 } }).greet(
      settings([4, 0]),
      headers(1, post, END_HEADERS),
    );
    const stream = peer.streams[0]!;
    stream.sendResponseHead(200, stream.headers, false);
    stream.sendData(new Uint8Array(999), 0, 999);
    expect(stream.isWritable).toBe(true);
    stream.sendData(new Uint8Array(1), 0, 1);
    expect([stream.isWritable, stream.queuedBytes]).toEqual([false, 1000]);
    peer.receive(windowUpdate(1, 499)).lines.length = 0;
    peer.receive(windowUpdate(1, 1));
    expect(peer.lines[0]).toBe('writable 1');
    expect(stream.isWritable).toBe(true);
  });

  test('goes before trailers, which are kept as they were', () => {
    const peer = new SessionUnderTest().greet(settings([4, 0]), headers(1, get));
    const stream = peer.streams[0]!;
    stream.sendResponseHead(200, stream.headers, false);
    stream.sendData(new Uint8Array(3), 0, 3);
    const trailers = stream.headers;
    stream.sendEnd(trailers);
    trailers.reset();
    peer.read().lines.length = 0;
    peer.receive(windowUpdate(1, 3));
    expect(peer.lines).toEqual(['< DATA 1 (3)', '< HEADERS 1 host=a end']);
  });

  test('does not hold back the end of a neighbour that has nothing to say', () => {
    const peer = new SessionUnderTest().greet(headers(1, get), headers(3, get));
    const [first, second] = peer.streams;
    peer.isWritable = false;
    first!.sendResponseHead(200, first!.headers, false);
    first!.sendData(new Uint8Array(3), 0, 3, true);
    second!.sendResponseHead(200, second!.headers, false);
    second!.sendEnd(null);
    peer.read().lines.splice(0, peer.lines.length - 1);
    expect(peer.lines).toEqual(['< DATA 3 end (0)']);
    expect(peer.session.openStreamCount).toBe(1);
  });

  test('does not pile up when its stream is reset', () => {
    const peer = new SessionUnderTest({
      act: (event, stream) => {
        if (event === 'reset') stream?.release();
        if (event !== 'head' || stream === null) return;
        stream.sendResponseHead(200, stream.headers, false);
        stream.sendData(new Uint8Array(70_000), 0, 70_000, true);
      },
    }).greet(settings([4, 100_000]), headers(1, get));
    // The connection's window is spent: stream 1 stays, the others come, wait and go.
    for (let i = 1; i < 400; i++) peer.receive(join(headers(id(i), get), resetStream(id(i), 8)));
    peer.lines.length = 0;
    peer.receive(windowUpdate(0, 1_000_000));
    expect(peer.lines).toEqual(['< DATA 1 end (4465)']);
  });
});
