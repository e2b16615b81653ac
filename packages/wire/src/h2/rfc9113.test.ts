import { describe, expect, test } from 'bun:test';
import { latin1Bytes } from '../headers/bytes.ts';
import {
  END_BOTH,
  END_HEADERS,
  block,
  continuation,
  data,
  frame,
  get,
  goAway,
  headers,
  join,
  ping,
  post,
  preface,
  priority,
  resetStream,
  settings,
  settingsAck,
  windowUpdate,
  word,
} from './frame-builder.ts';
import { dies, refused, serve } from './session-lines.ts';
import { SessionUnderTest, type SessionTestOptions } from './transcript.ts';

describe('RFC 9113 §3.4: connection preface', () => {
  test('the server answers with SETTINGS and acknowledges the client’s', () => {
    const peer = new SessionUnderTest();
    peer.receive(join(preface, settings()), 1);
    expect(peer.lines).toEqual(['< SETTINGS ack']);
  });

  test('what is no preface ends the connection at its first wrong octet', () => {
    for (const text of ['GET / HTTP/1.1\r\n', 'PRI * HTTP/2.0\r\n\r\nSM\r\nx'])
      for (const piece of [1, 2, 7, 99])
        expect(new SessionUnderTest().receive(latin1Bytes(text), piece).lines).toEqual(
          dies('PROTOCOL_ERROR', 'the client preface is invalid'),
        );
  });

  test('the first frame is SETTINGS, and no acknowledgement', () => {
    for (const first of [ping(), settingsAck, headers(1, get)])
      expect(new SessionUnderTest().receive(join(preface, first)).lines).toEqual(
        dies('PROTOCOL_ERROR', 'the first frame is not SETTINGS'),
      );
  });
});

describe('RFC 9113 §4: frames', () => {
  test('§4.1: unknown types and flags, and the reserved bit, are ignored', () => {
    const reserved = headers(1, get);
    reserved[5] = reserved[5]! | 0x80;
    expect(serve([frame(0x77, 0xff, 5, word(1)), reserved])).toEqual(['head 1 GET http a / host=a end']);
  });

  test('§4.2: a frame larger than SETTINGS_MAX_FRAME_SIZE ends the connection before it has arrived', () => {
    const tooLarge = frame(0, 0, 1, new Uint8Array(16_385)).subarray(0, 9);
    expect(serve([tooLarge])).toEqual(dies('FRAME_SIZE_ERROR', 'frame larger than allowed'));
  });

  test('§4.3: a block that does not decode ends the connection', () => {
    expect(serve([frame(1, END_BOTH, 1, Uint8Array.of(0x80))])).toEqual(
      dies('COMPRESSION_ERROR', 'index outside of the tables'),
    );
  });

  test('§6.10: a block in several frames is one block', () => {
    const octets = block(get);
    expect(
      serve([
        frame(1, 1, 1, octets.subarray(0, 3)),
        continuation(1, octets.subarray(3, 9), false),
        continuation(1, octets.subarray(9), true),
      ]),
    ).toEqual(['head 1 GET http a / host=a end']);
  });

  test('§6.10: nothing may come between, and no CONTINUATION alone', () => {
    const open = frame(1, 1, 1, block(get));
    for (const next of [
      ping(),
      headers(3, get),
      data(1, ''),
      continuation(3, block([]), true),
      frame(0x77, 0, 0, word(0)),
    ])
      expect(serve([open, next])).toEqual(dies('PROTOCOL_ERROR', 'CONTINUATION is missing or out of place'));
    expect(serve([headers(1, get), continuation(1, block([]), true)]).slice(1)).toEqual([
      'reset 1 PROTOCOL_ERROR by-us',
      ...dies('PROTOCOL_ERROR', 'CONTINUATION is missing or out of place', 1),
    ]);
  });
});

describe('RFC 9113 §5.1: stream states', () => {
  test('idle: only HEADERS and PRIORITY', () => {
    expect(serve([data(1, 'x')])).toEqual(dies('PROTOCOL_ERROR', 'frame on an idle stream'));
    expect(serve([resetStream(1, 8)])).toEqual(dies('PROTOCOL_ERROR', 'RST_STREAM on an idle stream'));
    expect(serve([windowUpdate(1, 1)])).toEqual(dies('PROTOCOL_ERROR', 'WINDOW_UPDATE on an idle stream'));
    expect(serve([priority(1, 3), headers(1, get)])).toEqual(['head 1 GET http a / host=a end']);
  });

  test('half-closed (remote): HEADERS and DATA are stream errors, WINDOW_UPDATE and PRIORITY are not', () => {
    for (const late of [headers(1, [['x', 'y']]), data(1, 'x')])
      expect(serve([headers(1, get), late]).slice(1)).toEqual([
        'reset 1 STREAM_CLOSED by-us',
        '< RST_STREAM 1 STREAM_CLOSED',
      ]);
    expect(serve([headers(1, get), windowUpdate(1, 1), priority(1, 0)]).length).toBe(1);
  });

  test('closed by both sides: HEADERS and DATA end the connection', () => {
    const answers: SessionTestOptions = {
      act: (event, stream) => {
        if (event === 'head') stream?.sendResponseHead(200, stream.headers, true);
      },
    };
    for (const late of [headers(1, [['x', 'y']]), data(1, 'x')])
      expect(serve([headers(1, get), late], answers)).toContain(
        'failure STREAM_CLOSED: frame on a stream that has ended',
      );
  });

  test('closed by the peer’s RST_STREAM: what follows is a stream error', () => {
    for (const late of [headers(1, [['x', 'y']]), data(1, 'x')])
      expect(serve([headers(1, post, END_HEADERS), resetStream(1, 8), late]).slice(2)).toEqual(
        refused(1, 'STREAM_CLOSED'),
      );
  });

  test('closed by our RST_STREAM: what was in flight is ignored, its window given back and its block decoded', () => {
    const lines = serve(
      [
        headers(1, post, END_HEADERS),
        data(1, 16_384),
        data(1, 16_384),
        data(1, 16_384),
        headers(1, [['x', 'y']]),
        headers(3, get),
      ],
      {
        act: (event, stream) => {
          if (event === 'head' && stream?.id === 1) stream.reset(8);
        },
      },
    );
    expect(lines).toEqual([
      'head 1 POST http a / host=a',
      'head 3 GET http a / host=a end',
      '< RST_STREAM 1 CANCEL',
      '< WINDOW_UPDATE 0 32768',
    ]);
  });

  test('§5.1.1: ids are odd and grow', () => {
    expect(serve([headers(2, get)])).toEqual(dies('PROTOCOL_ERROR', 'frame on an idle stream'));
    expect(serve([headers(5, get), headers(3, get)]).slice(1)).toEqual([
      'reset 5 PROTOCOL_ERROR by-us',
      ...dies('PROTOCOL_ERROR', 'stream ids went backwards', 5),
    ]);
  });

  test('§5.1.2: streams above SETTINGS_MAX_CONCURRENT_STREAMS are refused, those below go on', () => {
    const lines = serve([headers(1, post, END_HEADERS), headers(3, get), data(1, 'x', true)], {
      localSettings: { maxConcurrentStreams: 1 },
    });
    expect(lines).toEqual([
      'head 1 POST http a / host=a',
      'data 1 x',
      'end 1',
      '< RST_STREAM 3 REFUSED_STREAM',
    ]);
  });
});

describe('RFC 9113 §5.2, §6.9: flow control', () => {
  test('content beyond the connection’s window ends the connection, beyond the stream’s the stream', () => {
    const four = [data(1, 16_384), data(1, 16_384), data(1, 16_384), data(1, 16_384)];
    expect(serve([headers(1, post, END_HEADERS), ...four], { consumes: false })).toContain(
      '< RST_STREAM 1 FLOW_CONTROL_ERROR',
    );
    expect(
      serve([headers(1, post, END_HEADERS), ...four], { consumes: false, limits: { maxUnconsumedBytes: 0 } }),
    ).toContain('failure FLOW_CONTROL_ERROR: connection window exceeded');
  });

  test('consumption gives both windows back at half', () => {
    expect(
      serve([headers(1, post, END_HEADERS), data(1, 16_384), data(1, 16_384), data(1, 1)]).filter((line) =>
        line.startsWith('<'),
      ),
    ).toEqual(['< WINDOW_UPDATE 1 32768', '< WINDOW_UPDATE 0 32768']);
  });

  test('§6.9.1: padding is consumed on receipt', () => {
    const padded = frame(0, 8, 1, join(Uint8Array.of(255), new Uint8Array(16_000)));
    expect(
      serve([headers(1, post, END_HEADERS), padded, padded, padded]).filter((line) =>
        line.startsWith('< WINDOW'),
      ),
    ).toEqual(['< WINDOW_UPDATE 1 48003', '< WINDOW_UPDATE 0 48003']);
  });

  test('an increment of zero is an error of its scope', () => {
    expect(serve([windowUpdate(0, 0)])).toEqual(dies('PROTOCOL_ERROR', 'WINDOW_UPDATE of zero'));
    expect(serve([headers(1, get), windowUpdate(1, 0)]).slice(1)).toEqual([
      'reset 1 PROTOCOL_ERROR by-us',
      '< RST_STREAM 1 PROTOCOL_ERROR',
    ]);
  });

  test('§6.9.1: a window above 2^31-1 is an error of its scope', () => {
    expect(serve([windowUpdate(0, 0x7fffffff)])).toEqual(
      dies('FLOW_CONTROL_ERROR', 'the connection window exceeds its bound'),
    );
    expect(serve([headers(1, get), windowUpdate(1, 0x7fffffff)]).slice(1)).toEqual([
      'reset 1 FLOW_CONTROL_ERROR by-us',
      '< RST_STREAM 1 FLOW_CONTROL_ERROR',
    ]);
  });

  const sendsBody: SessionTestOptions = {
    act: (event, stream) => {
      if (event !== 'head') return;
      stream?.sendResponseHead(200, new SessionUnderTest().streams[0]?.headers ?? stream.headers, false);
      stream?.sendData(new Uint8Array(10), 0, 10, true);
    },
  };

  test('§6.9.2: SETTINGS_INITIAL_WINDOW_SIZE moves the windows of open streams, below zero too', () => {
    const dataLines = (...frames: Uint8Array[]): string[] =>
      serve(frames, sendsBody).filter((line) => line.startsWith('< DATA'));
    const small = settings([4, 3]);
    expect(dataLines(small, headers(1, get))).toEqual(['< DATA 1 (3)']);
    expect(dataLines(small, headers(1, get), settings([4, 5]))).toEqual(['< DATA 1 (3)', '< DATA 1 (2)']);
    // 3 of 3 spent, then the window is 1 - 3 = -2: four more give 2.
    expect(dataLines(small, headers(1, get), settings([4, 1]), windowUpdate(1, 2))).toEqual(['< DATA 1 (3)']);
    expect(dataLines(small, headers(1, get), settings([4, 1]), windowUpdate(1, 4))).toEqual([
      '< DATA 1 (3)',
      '< DATA 1 (2)',
    ]);
    expect(dataLines(small, headers(1, get), windowUpdate(1, 7))).toEqual([
      '< DATA 1 (3)',
      '< DATA 1 end (7)',
    ]);
    expect(serve([headers(1, get), windowUpdate(1, 0x7fff0000), settings([4, 0x7fffffff])])).toContain(
      'failure FLOW_CONTROL_ERROR: a window exceeds its bound',
    );
  });

  test('streams that wait send in turns, and one without window holds nobody up', () => {
    const peer = new SessionUnderTest({
      act: (event, stream) => {
        if (event !== 'head' || stream === null) return;
        stream.sendResponseHead(200, stream.headers, false);
        stream.sendData(new Uint8Array(40_000), 0, 40_000, true);
      },
    });
    peer.isWritable = false;
    peer.greet(
      settings([4, 20_000]),
      windowUpdate(0, 1_000_000),
      headers(1, get),
      headers(3, get),
      settings([4, 65_535]),
      headers(5, get),
    );
    peer.lines.length = 0;
    peer.isWritable = true;
    peer.session.onOutputDrain();
    peer.read();
    expect(peer.lines).toEqual([
      '< DATA 1 (16384)',
      '< DATA 3 (16384)',
      '< DATA 5 (16384)',
      '< DATA 1 (16384)',
      '< DATA 3 (16384)',
      '< DATA 5 (16384)',
      '< DATA 1 end (7232)',
      '< DATA 3 end (7232)',
      '< DATA 5 end (7232)',
    ]);
  });
});

describe('RFC 9113 §5.3, §6.3: PRIORITY has no effect, but a form', () => {
  test('of five octets, on a stream, and not on itself', () => {
    expect(serve([frame(2, 0, 0, new Uint8Array(5))])).toEqual(dies('PROTOCOL_ERROR', 'frame on stream 0'));
    expect(serve([headers(1, get), frame(2, 0, 1, new Uint8Array(4))])).toContain(
      '< RST_STREAM 1 FRAME_SIZE_ERROR',
    );
    expect(serve([headers(1, get), priority(1, 1)])).toContain('< RST_STREAM 1 PROTOCOL_ERROR');
    const dependent = frame(1, END_BOTH | 0x20, 1, join(word(1), Uint8Array.of(0), block(get)));
    expect(serve([dependent])).toEqual(refused(1));
  });
});

describe('RFC 9113 §6: frames of the connection', () => {
  test('§6.1, §6.2: padding is left out, and too long padding ends the connection', () => {
    const padded = frame(0, 8 | 1, 1, join(Uint8Array.of(2), latin1Bytes('abc'), new Uint8Array(2)));
    const paddedHead = frame(1, END_HEADERS | 8, 1, join(Uint8Array.of(4), block(post), new Uint8Array(4)));
    expect(serve([paddedHead, padded])).toEqual(['head 1 POST http a / host=a', 'data 1 abc', 'end 1']);
    const tooLong = frame(0, 8, 1, Uint8Array.of(3, 0, 0));
    expect(serve([headers(1, post, END_HEADERS), tooLong])).toContain(
      'failure PROTOCOL_ERROR: padding is longer than its frame',
    );
    expect(serve([frame(1, END_BOTH | 8, 1, Uint8Array.of(9, 0x82))])).toEqual(
      dies('PROTOCOL_ERROR', 'padding is longer than its frame'),
    );
  });

  test('§6.4, §6.5, §6.7, §6.8, §6.9: sizes and streams are as they must be', () => {
    const wrong: readonly (readonly [Uint8Array, string])[] = [
      [frame(3, 0, 1, new Uint8Array(3)), 'FRAME_SIZE_ERROR: RST_STREAM of a wrong size'],
      [frame(3, 0, 0, word(0)), 'PROTOCOL_ERROR: RST_STREAM on stream 0'],
      [frame(4, 0, 1, new Uint8Array(0)), 'PROTOCOL_ERROR: SETTINGS on a stream'],
      [frame(4, 1, 0, new Uint8Array(6)), 'FRAME_SIZE_ERROR: SETTINGS of a wrong size'],
      [frame(4, 0, 0, new Uint8Array(5)), 'FRAME_SIZE_ERROR: SETTINGS of a wrong size'],
      [frame(5, 4, 1, word(2)), 'PROTOCOL_ERROR: PUSH_PROMISE is not accepted'],
      [frame(6, 0, 1, new Uint8Array(8)), 'PROTOCOL_ERROR: PING on a stream'],
      [frame(6, 0, 0, new Uint8Array(7)), 'FRAME_SIZE_ERROR: PING of a wrong size'],
      [frame(7, 0, 1, new Uint8Array(8)), 'PROTOCOL_ERROR: GOAWAY on a stream'],
      [frame(7, 0, 0, new Uint8Array(7)), 'FRAME_SIZE_ERROR: GOAWAY of a wrong size'],
      [frame(8, 0, 0, new Uint8Array(3)), 'FRAME_SIZE_ERROR: WINDOW_UPDATE of a wrong size'],
      [data(0, 'x'), 'PROTOCOL_ERROR: DATA on stream 0'],
      [headers(0, get), 'PROTOCOL_ERROR: frame on stream 0'],
    ];
    for (const [octets, failure] of wrong) expect(serve([octets])[0]).toBe(`failure ${failure}`);
  });

  test('§6.5.2: values out of bounds end the connection, unknown settings are ignored', () => {
    const bad: readonly (readonly [number, number, string])[] = [
      [2, 2, 'PROTOCOL_ERROR'],
      [4, 0x80000000, 'FLOW_CONTROL_ERROR'],
      [5, 16_383, 'PROTOCOL_ERROR'],
      [5, 16_777_216, 'PROTOCOL_ERROR'],
      [8, 2, 'PROTOCOL_ERROR'],
    ];
    for (const [id, value, code] of bad)
      expect(serve([settings([id, value])])).toEqual(dies(code, 'a setting is out of bounds'));
    expect(serve([settings([0x99, 7], [1, 0], [3, 0])])).toEqual(['< SETTINGS ack']);
  });

  test('§6.7: PING is answered with its payload, and our own is told', () => {
    expect(serve([ping(77)])).toEqual(['< PING 77 ack']);
    const peer = new SessionUnderTest().greet();
    peer.session.ping(123_456_789_012);
    peer.receive(frame(6, 1, 0, Uint8Array.of(0, 0, 0, 0x1c, 0xbe, 0x99, 0x1a, 0x14)));
    expect(peer.lines.at(-2)).toBe('pong 123456789012');
  });

  test('§6.8: a client’s GOAWAY lets its streams end', () => {
    const peer = new SessionUnderTest().greet(headers(1, get), goAway(0, 0));
    expect(peer.lines).toEqual(['head 1 GET http a / host=a end', 'goaway 0 NO_ERROR']);
    peer.session.goAway(0);
    peer.streams[0]?.sendResponseHead(204, peer.streams[0].headers, true);
    expect(peer.read().lines.slice(2)).toEqual([
      'drained',
      '< GOAWAY 1 NO_ERROR',
      '< HEADERS 1 :status=204 host=a end',
    ]);
    expect(serve([goAway(3, 0), goAway(5, 0)])).toContain(
      'failure PROTOCOL_ERROR: GOAWAY raises its last stream',
    );
  });

  test('§6.8: draining announces, waits for what is on its way, then says the real last stream', () => {
    const peer = new SessionUnderTest().greet();
    peer.session.beginDrain();
    peer.session.beginDrain();
    peer.read();
    expect(peer.lines.map((line) => line.split(' ').slice(0, 4).join(' '))).toEqual([
      '< GOAWAY 2147483647 NO_ERROR',
      `< PING ${0x6e696e67}`,
    ]);
    const answer = frame(6, 1, 0, latin1Bytes('draining'));
    peer.lines.length = 0;
    peer.receive(join(headers(1, get), answer, headers(3, get)));
    expect(peer.lines).toEqual([
      'head 1 GET http a / host=a end',
      '< GOAWAY 1 NO_ERROR',
      '< RST_STREAM 3 REFUSED_STREAM',
    ]);
    expect(peer.session.isDrained).toBe(false);
    peer.streams[0]?.sendResponseHead(200, peer.streams[0].headers, true);
    expect(peer.session.isDrained).toBe(true);
    expect(peer.lines.at(-1)).toBe('drained');
  });
});
