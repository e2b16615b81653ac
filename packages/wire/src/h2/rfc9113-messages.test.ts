import { describe, expect, test } from 'bun:test';
import { latin1Bytes } from '../headers/bytes.ts';
import {
  END_HEADERS,
  block,
  data,
  frame,
  get,
  goAway,
  headers,
  join,
  post,
  preface,
  resetStream,
  settings,
  windowUpdate,
  word,
  type Fields,
} from './frame-builder.ts';
import { refused, serve } from './session-lines.ts';
import { SessionUnderTest, type SessionTestOptions } from './transcript.ts';

describe('RFC 9113 §8.1, §8.2: messages', () => {
  test('content, trailers, and an end', () => {
    expect(
      serve([headers(1, post, END_HEADERS), data(1, 'ab'), data(1, 'c'), headers(1, [['x', 'y']])]),
    ).toEqual(['head 1 POST http a / host=a', 'data 1 abc', 'end 1 trailers x=y']);
    expect(serve([headers(1, post, END_HEADERS), data(1, '', true)])).toEqual([
      'head 1 POST http a / host=a',
      'end 1',
    ]);
  });

  test('§8.1: a second block that does not end the message, or with a pseudo-header field, is malformed', () => {
    for (const second of [
      headers(1, [['x', 'y']], END_HEADERS),
      headers(1, [[':path', '/']]),
      headers(1, [['connection', 'x']]),
    ])
      expect(serve([headers(1, post, END_HEADERS), second])).toEqual([
        'head 1 POST http a / host=a',
        'reset 1 PROTOCOL_ERROR by-us',
        '< RST_STREAM 1 PROTOCOL_ERROR',
      ]);
  });

  test('RFC 9110 §6.5.1: fields that may not come late are left out of trailers', () => {
    const peer = new SessionUnderTest().greet(
      headers(1, post, END_HEADERS),
      headers(1, [
        ['content-length', '9'],
        ['host', 'b'],
        ['authorization', 'x'],
        ['grpc-status', '0'],
      ]),
    );
    expect(peer.lines.at(-1)).toBe('end 1 trailers grpc-status=0');
    expect(peer.session.stats.trailerFieldsDropped).toBe(3);
  });

  test('§8.1.1: content and content-length agree', () => {
    const sized = (length: string, ...rest: Uint8Array[]): string[] =>
      serve([headers(1, [...post, ['content-length', length]], END_HEADERS), ...rest]);
    expect(sized('3', data(1, 'abc', true)).at(-1)).toBe('end 1');
    expect(sized('3', data(1, 'ab'), headers(1, [['x', 'y']]))).toContain('< RST_STREAM 1 PROTOCOL_ERROR');
    expect(sized('3', data(1, 'ab', true))).toContain('< RST_STREAM 1 PROTOCOL_ERROR');
    expect(sized('3', data(1, 'abcd'))).toContain('< RST_STREAM 1 PROTOCOL_ERROR');
    expect(sized('3', data(1, 'abcd')).some((line) => line.startsWith('end'))).toBe(false);
    for (const length of ['', '-1', '+1', '1 ', '0x1', '1,1', '99999999999999999999'])
      expect(sized(length)).toEqual(refused(1));
    expect(
      serve([headers(1, [...post, ['content-length', '1'], ['content-length', '1']], END_HEADERS)]),
    ).toEqual(refused(1));
    expect(serve([headers(1, [...post, ['content-length', '1']])])).toEqual(refused(1));
  });

  const malformed: readonly (readonly [string, Fields])[] = [
    ['§8.2.1 upper case', [...get, ['X-Y', 'z']]],
    ['§8.2.1 a space in a name', [...get, ['x y', 'z']]],
    ['§8.2.1 an empty name', [...get, ['', 'z']]],
    ['§8.2.1 a colon in a name', [...get, ['x:', 'z']]],
    ['§8.2.1 CR in a value', [...get, ['x', 'a\rb']]],
    ['§8.2.1 LF in a value', [...get, ['x', 'a\nhost: b']]],
    ['§8.2.1 NUL in a value', [...get, ['x', 'a\0b']]],
    ['§8.2.1 a space before a value', [...get, ['x', ' a']]],
    ['§8.2.1 a tab after a value', [...get, ['x', 'a\t']]],
    ['§8.2.2 connection', [...get, ['connection', 'x']]],
    ['§8.2.2 keep-alive', [...get, ['keep-alive', '1']]],
    ['§8.2.2 proxy-connection', [...get, ['proxy-connection', 'x']]],
    ['§8.2.2 transfer-encoding', [...get, ['transfer-encoding', 'chunked']]],
    ['§8.2.2 upgrade', [...get, ['upgrade', 'h2c']]],
    ['§8.2.2 te other than trailers', [...get, ['te', 'trailers, deflate']]],
    ['§8.3 unknown pseudo-header field', [...get, [':x', 'y']]],
    ['§8.3 a pseudo-header field after others', [...get.slice(1), ['x', 'y'], get[0]!]],
    ['§8.3 a pseudo-header field of responses', [...get, [':status', '200']]],
    ['§8.3.1 repeated', [...get, [':path', '/']]],
    ['§8.3.1 without method', get.slice(1)],
    ['§8.3.1 without scheme', get.filter(([name]) => name !== ':scheme')],
    ['§8.3.1 without path', get.filter(([name]) => name !== ':path')],
    ['§8.3.1 empty path', get.map(([name, value]) => (name === ':path' ? [name, ''] : [name, value]))],
    ['§8.3.1 relative path', get.map(([name, value]) => (name === ':path' ? [name, 'x'] : [name, value]))],
    [
      '§8.3.1 * without OPTIONS',
      get.map(([name, value]) => (name === ':path' ? [name, '*'] : [name, value])),
    ],
    [
      '§8.3.1 a space in the path',
      get.map(([name, value]) => (name === ':path' ? [name, '/ HTTP/1.1'] : [name, value])),
    ],
    [
      '§8.3.1 a fragment in the path',
      get.map(([name, value]) => (name === ':path' ? [name, '/#x'] : [name, value])),
    ],
    [
      '§8.3.1 userinfo in the authority',
      get.map(([name, value]) => (name === ':authority' ? [name, 'u@a'] : [name, value])),
    ],
    ['§8.3.1 a method that is no token', [[':method', 'GET /'], ...get.slice(1)]],
    ['§8.3.1 host beside another authority', [...get, ['host', 'b']]],
    ['§8.3.1 two hosts', [...get.slice(0, 3), ['host', 'a'], ['host', 'b']]],
    ['§8.3.1 neither authority nor host', get.slice(0, 3)],
    ['§8.5 CONNECT with a path', [[':method', 'CONNECT'], ...get.slice(1)]],
    ['§8.5 CONNECT without authority', [[':method', 'CONNECT']]],
    [
      '§8.5 CONNECT without port',
      [
        [':method', 'CONNECT'],
        [':authority', 'a'],
      ],
    ],
    ['RFC 8441 §4 protocol without CONNECT', [...get, [':protocol', 'websocket']]],
  ];
  for (const [what, fields] of malformed) {
    test(`malformed: ${what}`, () => {
      expect(serve([headers(1, fields), headers(3, get)])).toEqual([
        'head 3 GET http a / host=a end',
        ...refused(1),
      ]);
    });
  }

  test('§8.2.2: te may be "trailers"', () => {
    expect(serve([headers(1, [...get, ['te', 'trailers']])])).toEqual([
      'head 1 GET http a / host=a te=trailers end',
    ]);
  });

  test('§8.2.3: cookie crumbs become one field', () => {
    expect(
      serve([headers(1, [...get, ['cookie', 'a=1'], ['x', 'y'], ['cookie', 'b=2'], ['cookie', 'c=3']])]),
    ).toEqual(['head 1 GET http a / host=a x=y cookie=a=1; b=2; c=3 end']);
  });

  test('§8.3.1: host stands for a missing authority, and may repeat it in other case', () => {
    expect(serve([headers(1, [...get.slice(0, 3), ['host', 'b']])])).toEqual([
      'head 1 GET http b / host=b end',
    ]);
    expect(serve([headers(1, [...get, ['host', 'A']])])).toEqual(['head 1 GET http a / host=a end']);
  });

  test('§8.5, RFC 8441: CONNECT, and the extended one where it was offered', () => {
    expect(
      serve([
        headers(
          1,
          [
            [':method', 'CONNECT'],
            [':authority', 'a:443'],
          ],
          END_HEADERS,
        ),
      ]),
    ).toEqual(['head 1 CONNECT  a:443 host=a:443'.replace('CONNECT  a', 'CONNECT  a')]);
    const extended: Fields = [[':method', 'CONNECT'], ...get.slice(1), [':protocol', 'websocket']];
    expect(serve([headers(1, extended, END_HEADERS)])).toEqual(['head 1 CONNECT http a / websocket host=a']);
    expect(
      serve([headers(1, extended, END_HEADERS)], { localSettings: { enableConnectProtocol: false } }),
    ).toEqual(refused(1));
  });
});

describe('RFC 9113 §8: the client', () => {
  const ask = (frames: readonly Uint8Array[], method = 'GET', isEnd = true): string[] => {
    const run = (piece?: number): string[] => {
      const peer = new SessionUnderTest({ role: 'client' }).greet();
      const stream = peer.session.open(null);
      stream?.sendRequestHead(
        method,
        'http',
        'a',
        '/',
        '',
        new SessionUnderTest().session && stream.headers,
        isEnd,
      );
      peer.read().lines.length = 0;
      return peer.receive(join(...frames), piece).lines;
    };
    const whole = run();
    for (const piece of [1, 2, 7]) expect(run(piece)).toEqual(whole);
    return whole;
  };
  const status = (code: string, ...fields: Fields): Fields => [[':status', code], ...fields];
  const reset = ['reset 1 PROTOCOL_ERROR by-us', '< RST_STREAM 1 PROTOCOL_ERROR'];

  test('takes interim responses, the final one, content and trailers', () => {
    expect(
      ask([
        headers(1, status('103', ['link', 'x']), END_HEADERS),
        headers(1, status('200', ['server', 's']), END_HEADERS),
        data(1, 'abc'),
        headers(1, [['grpc-status', '0']]),
      ]),
    ).toEqual([
      'informational 1 103 link=x',
      'head 1 200 server=s',
      'data 1 abc',
      'end 1 trailers grpc-status=0',
    ]);
  });

  test('content-length of responses to HEAD, of 304 and of CONNECT says nothing of content', () => {
    expect(ask([headers(1, status('200', ['content-length', '9']))], 'HEAD')).toEqual([
      'head 1 200 content-length=9 end',
    ]);
    expect(ask([headers(1, status('304', ['content-length', '9']))])).toEqual([
      'head 1 304 content-length=9 end',
    ]);
    expect(ask([headers(1, status('200'), END_HEADERS), data(1, 'x')], 'HEAD').slice(1)).toEqual(reset);
    expect(ask([headers(1, status('200', ['content-length', '9']))])).toEqual(reset);
    expect(
      ask(
        [headers(1, status('200', ['content-length', '9']), END_HEADERS), data(1, 'x')],
        'CONNECT',
        false,
      ).at(-1),
    ).toBe('data 1 x');
  });

  for (const [what, fields] of [
    ['no status', [['x', 'y']]],
    ['two statuses', [...status('200'), [':status', '200']]],
    ['a status of two digits', status('20')],
    ['101', status('101')],
    ['a request’s pseudo-header field', [...status('200'), [':path', '/']]],
    ['transfer-encoding', [...status('200'), ['transfer-encoding', 'chunked']]],
  ] as readonly (readonly [string, Fields])[]) {
    test(`malformed: ${what}`, () => {
      expect(ask([headers(1, fields)])).toEqual(reset);
    });
  }

  test('a 1xx that ends the stream, and content before the head, are malformed', () => {
    expect(ask([headers(1, status('103'))])).toEqual(reset);
    expect(ask([data(1, 'x')])).toEqual(reset);
  });

  test('§6.8: GOAWAY gives the streams above it back as unprocessed, and no more are opened', () => {
    const peer = new SessionUnderTest({ role: 'client' }).greet();
    for (let i = 0; i < 3; i++) {
      const stream = peer.session.open(i);
      stream?.sendRequestHead('GET', 'http', 'a', '/', '', stream.headers, true);
    }
    peer.session.open('unsent');
    peer.read().lines.length = 0;
    peer.receive(join(goAway(3, 0), headers(1, status('200')), headers(3, status('200'))));
    expect(peer.lines).toEqual([
      'reset 0 REFUSED_STREAM by-peer unprocessed',
      'reset 5 REFUSED_STREAM by-peer unprocessed',
      'goaway 3 NO_ERROR',
      'head 1 200 end',
      'head 3 200 end',
      'drained',
    ]);
    expect(peer.session.open(null)).toBeNull();
  });

  test('§8.7: REFUSED_STREAM is unprocessed, other codes are not', () => {
    expect(ask([resetStream(1, 7)])).toEqual(['reset 1 REFUSED_STREAM by-peer unprocessed']);
    expect(ask([resetStream(1, 8)])).toEqual(['reset 1 CANCEL by-peer']);
  });

  test('§5.1.2: opens no more than the peer allows, and a hundred before it has said', () => {
    const peer = new SessionUnderTest({ role: 'client' });
    for (let i = 0; i < 100; i++) expect(peer.session.open(i)).not.toBeNull();
    expect(peer.session.open(100)).toBeNull();
    const limited = new SessionUnderTest({ role: 'client' });
    limited.receive(settings([3, 1]));
    expect(limited.session.open(1)).not.toBeNull();
    expect(limited.session.open(2)).toBeNull();
  });

  test('§6.6: a pushed stream ends the connection', () => {
    expect(ask([frame(5, 4, 1, join(word(2), block(get)))])).toContain(
      'failure PROTOCOL_ERROR: PUSH_PROMISE is not accepted',
    );
    expect(ask([headers(2, status('200'))])).toContain('failure PROTOCOL_ERROR: frame on an idle stream');
  });

  test('the transport’s end resets what was open; what was never sent is unprocessed', () => {
    const peer = new SessionUnderTest({ role: 'client' }).greet();
    const stream = peer.session.open(1);
    stream?.sendRequestHead('GET', 'http', 'a', '/', '', stream.headers, true);
    peer.session.open(2);
    peer.session.onTransportClosed();
    expect(peer.lines).toEqual(['reset 0 CANCEL by-peer unprocessed', 'reset 1 CANCEL by-peer']);
    expect(peer.session.open(3)).toBeNull();
  });
});

describe('RFC 9113 §8.1: a request answered before it ended', () => {
  const answersAndResets: SessionTestOptions = {
    act: (event, stream) => {
      if (event !== 'head' || stream === null) return;
      stream.sendResponseHead(200, stream.headers, true);
      stream.reset(0);
    },
  };

  test('is read to its end in silence', () => {
    expect(
      serve([headers(1, post, END_HEADERS), data(1, 'abc', true), headers(3, get)], answersAndResets),
    ).toEqual([
      'head 1 POST http a / host=a',
      'head 3 GET http a / host=a end',
      '< HEADERS 1 :status=200 host=a end',
      '< HEADERS 3 :status=200 host=a end',
    ]);
  });

  test('is reset without error when it goes on beyond its window', () => {
    const lines = serve(
      [headers(1, post, END_HEADERS), data(1, 16_384), data(1, 16_384), data(1, 16_384)],
      answersAndResets,
    );
    expect(lines).toContain('< RST_STREAM 1 NO_ERROR');
  });

  test('is not waited for by a drain', () => {
    const peer = new SessionUnderTest(answersAndResets).greet(headers(1, post, END_HEADERS));
    peer.session.goAway(0);
    expect(peer.session.isDrained).toBe(true);
  });
});

describe('RFC 7540 §3.2: h2c upgrade', () => {
  test('stream 1 is answered, and the client’s next stream is 3', () => {
    const peer = new SessionUnderTest();
    const stream = peer.session.startUpgraded(settings([4, 5]).subarray(9));
    stream.sendResponseHead(200, stream.headers, false);
    stream.sendData(latin1Bytes('0123456789'), 0, 10, true);
    peer.receive(join(preface, settings([4, 5]), windowUpdate(1, 5), headers(3, get)));
    expect(peer.lines).toEqual([
      'head 3 GET http a / host=a end',
      '< HEADERS 1 :status=200',
      '< DATA 1 (5)',
      '< SETTINGS ack',
      '< DATA 1 end (5)',
    ]);
  });

  test('invalid settings end the session', () => {
    const peer = new SessionUnderTest();
    expect(peer.session.startUpgraded(Uint8Array.of(1)).isClosed).toBe(true);
    expect(peer.session.isDead).toBe(true);
  });
});
