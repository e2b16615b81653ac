import { describe, expect, test } from 'bun:test';
import { decodeLatin1, latin1Bytes } from '../headers/bytes.ts';
import { HeaderList } from '../headers/header-list.ts';
import { H } from '../headers/names.ts';
import { H1RequestParser } from './request-parser.ts';
import { H1ResponseParser } from './response-parser.ts';
import { Transcript, transcribeRequests, transcribeResponses } from './transcript.ts';
import {
  writeRequestHead,
  writeResponseHead,
  type RequestWriteOptions,
  type ResponseWriteOptions,
} from './write-head.ts';
import { writeChunkEnd, writeChunkHeader, writeLastChunk } from './write-chunk.ts';

const out = new Uint8Array(4096);

/** What is forwarded of a received request. */
function forward(text: string, options: Partial<RequestWriteOptions> = {}): string {
  const transcript = new Transcript();
  const parser = new H1RequestParser(transcript);
  const bytes = latin1Bytes(text);
  parser.execute(bytes, 0, bytes.length);
  expect(parser.hasFailed).toBe(false);
  const { head } = parser;
  const { bodyKind, contentLength } = head;
  const end = writeRequestHead(out, 0, head.method, head.path, head.headers, {
    bodyKind,
    contentLength,
    connection: 'omit',
    passesUpgrade: false,
    ...options,
  });
  return decodeLatin1(out, 0, end);
}
function forwardResponse(text: string, method: string, options: Partial<ResponseWriteOptions> = {}): string {
  const parser = new H1ResponseParser(new Transcript());
  parser.expectResponseTo(method, true);
  const bytes = latin1Bytes(text);
  parser.execute(bytes, 0, bytes.length);
  expect(parser.hasFailed).toBe(false);
  const { head } = parser;
  const end = writeResponseHead(out, 0, head.status, head.reason, head.headers, {
    bodyKind: head.bodyKind,
    contentLength: head.contentLength,
    connection: 'omit',
    passesUpgrade: false,
    isAnswerToHead: method === 'HEAD',
    ...options,
  });
  return decodeLatin1(out, 0, end);
}

describe('§7.6.1 hop-by-hop fields', () => {
  test('Connection, what it names, Keep-Alive, Proxy-Connection and Upgrade go no further', () => {
    expect(
      forward(
        'GET / HTTP/1.1\r\nHost: a\r\nX-Keep: 1\r\nConnection: Foo, keep-alive\r\nFOO: x\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nUpgrade: h2c\r\nHTTP2-Settings: A\r\nLast: 2\r\n\r\n',
      ),
    ).toBe('GET / HTTP/1.1\r\nHost: a\r\nX-Keep: 1\r\nLast: 2\r\n\r\n');
  });
  test('a client cannot have fields removed that policy relies on', () => {
    const fields =
      'Host: a\r\nX-Forwarded-For: 1.2.3.4\r\nAuthorization: b\r\nContent-Length: 0\r\nCookie: c\r\n';
    expect(
      forward(
        `GET / HTTP/1.1\r\n${fields}Connection: host, x-forwarded-for, authorization, content-length, cookie\r\n\r\n`,
      ),
    ).toBe(`GET / HTTP/1.1\r\n${fields}\r\n`);
  });
  test('§7.8 an upgrade is passed on when wanted', () => {
    expect(
      forward('GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n', {
        passesUpgrade: true,
      }),
    ).toBe('GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nconnection: upgrade\r\n\r\n');
  });
  test('§10.1.4 of TE only trailers goes on, named in Connection', () => {
    expect(forward('GET / HTTP/1.1\r\nHost: a\r\nTE: gzip;q=1, trailers\r\nTE: trailers\r\n\r\n')).toBe(
      'GET / HTTP/1.1\r\nHost: a\r\nte: trailers\r\nconnection: te\r\n\r\n',
    );
    expect(forward('GET / HTTP/1.1\r\nHost: a\r\nTE: gzip\r\n\r\n')).toBe(
      'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
    );
  });
});

describe('§8.6 the length that is written is the one decided', () => {
  test('a fitting Content-Length stays where it was; another is replaced', () => {
    const text = 'POST / HTTP/1.1\r\nHost: a\r\nCONTENT-length: 5\r\nX: y\r\n\r\n';
    expect(forward(text)).toBe(text);
    expect(forward(text, { contentLength: 7 })).toBe(
      'POST / HTTP/1.1\r\nHost: a\r\nX: y\r\ncontent-length: 7\r\n\r\n',
    );
    expect(forward(text, { bodyKind: 'chunked' })).toBe(
      'POST / HTTP/1.1\r\nHost: a\r\nX: y\r\ntransfer-encoding: chunked\r\n\r\n',
    );
    expect(forward('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 005\r\n\r\n')).toBe(
      'POST / HTTP/1.1\r\nHost: a\r\ncontent-length: 5\r\n\r\n',
    );
  });
  test('answers to HEAD and 304 keep the metadata; 204, 1xx and tunnels have no framing', () => {
    expect(forwardResponse('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n', 'HEAD')).toBe(
      'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n',
    );
    expect(forwardResponse('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', 'HEAD')).toBe(
      'HTTP/1.1 200 OK\r\n\r\n',
    );
    expect(forwardResponse('HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n', 'GET')).toContain(
      'Content-Length: 5',
    );
    expect(forwardResponse('HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n', 'GET')).toBe(
      'HTTP/1.1 204 No Content\r\n\r\n',
    );
    expect(forwardResponse('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', 'CONNECT')).toBe(
      'HTTP/1.1 200 OK\r\n\r\n',
    );
  });
  test('a response without content says 0; one until close says close', () => {
    const list = new HeaderList();
    const options: ResponseWriteOptions = {
      bodyKind: 'none',
      contentLength: 0,
      connection: 'omit',
      passesUpgrade: false,
      isAnswerToHead: false,
    };
    expect(decodeLatin1(out, 0, writeResponseHead(out, 0, 503, undefined, list, options))).toBe(
      'HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n',
    );
    expect(forwardResponse('HTTP/1.1 200 OK\r\n\r\n', 'GET')).toBe(
      'HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n',
    );
  });
});

test('§7.2 a request that came without Host is given an empty one, CONNECT its target', () => {
  expect(forward('GET /x HTTP/1.0\r\nX: y\r\n\r\n')).toBe('GET /x HTTP/1.1\r\nhost: \r\nX: y\r\n\r\n');
  const options: RequestWriteOptions = {
    bodyKind: 'none',
    contentLength: 0,
    connection: 'omit',
    passesUpgrade: false,
  };
  const end = writeRequestHead(out, 0, 'CONNECT', 'b:443', new HeaderList(), options);
  expect(decodeLatin1(out, 0, end)).toBe('CONNECT b:443 HTTP/1.1\r\nhost: b:443\r\n\r\n');
});

test('§6.5 trailers and chunks are written so that they read back the same', () => {
  const trailers = new HeaderList();
  trailers.append('X-Sum', 'abc');
  let at = writeChunkHeader(out, 0, 11);
  out.set(latin1Bytes('hello world'), at);
  at = writeChunkEnd(out, at + 11);
  at = writeLastChunk(out, at, trailers);
  expect(decodeLatin1(out, 0, at)).toBe('b\r\nhello world\r\n0\r\nX-Sum: abc\r\n\r\n');
  expect(writeChunkHeader(out, 0, 0)).toBe(-1);
  expect(writeChunkHeader(out, out.length - 2, 5)).toBe(-1);
  expect(writeLastChunk(out, out.length - 4)).toBe(-1);
  expect(writeChunkEnd(out, out.length - 1)).toBe(-1);
});

describe('§10.1.1 Expect', () => {
  const text = (value: string, version = '1.1', fields = 'Content-Length: 1\r\n'): string[] =>
    transcribeRequests(latin1Bytes(`POST / HTTP/${version}\r\nHost: a\r\n${fields}Expect: ${value}\r\n\r\n`));
  test('100-continue is noticed where content follows', () => {
    expect(text('100-Continue')[0]).toContain(' expects-continue');
    expect(text('100-continue', '1.1', '')[0]).not.toContain('expects-continue');
    expect(text('100-continue', '1.0')[0]).not.toContain('expects-continue');
  });
  test('of an HTTP/1.0 client it is removed, since the next hop would obey it', () => {
    const request = 'POST / HTTP/1.0\r\nHost: a\r\nExpect: x\r\nContent-Length: 1\r\n\r\n';
    expect(forward(request)).toBe('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n');
  });
  test('any other expectation is 417, wherever it stands', () => {
    expect(text('200-ok')).toEqual(['error h1-expectation-unsupported 417']);
    expect(text('x\r\nExpect: 100-continue')).toEqual(['error h1-expectation-unsupported 417']);
    expect(text('100-continue\r\nExpect: x')).toEqual(['error h1-expectation-unsupported 417']);
  });
});

describe('§15.2 interim responses', () => {
  test('they precede the final one', () => {
    expect(
      transcribeResponses(
        latin1Bytes(
          'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No\r\n\r\n',
        ),
        ['GET'],
      ),
    ).toEqual([
      'informational 100 Continue',
      'informational 103 Early Hints',
      '  Link: "x"',
      'response 204 "No" HTTP/1.1 body=none:-1',
      'end',
    ]);
  });
  test('their number is bounded', () => {
    expect(transcribeResponses(latin1Bytes('HTTP/1.1 100 Continue\r\n\r\n'.repeat(17)), ['GET']).at(-1)).toBe(
      'error h1-too-many-informational 502',
    );
  });
});

describe('§9.3.6 CONNECT and §7.8 Upgrade hold the parser', () => {
  function held(text: string): {
    parser: H1RequestParser;
    transcript: Transcript;
    bytes: Uint8Array;
    at: number;
  } {
    const transcript = new Transcript();
    const parser = new H1RequestParser(transcript);
    const bytes = latin1Bytes(text);
    return { parser, transcript, bytes, at: parser.execute(bytes, 0, bytes.length) };
  }
  test('what follows is the tunnel’s once it stands', () => {
    const { parser, transcript, bytes, at } = held('CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n\x16\x03');
    expect([at, parser.isHeld]).toEqual([bytes.length - 2, true]);
    parser.switchToTunnel();
    expect(parser.execute(bytes, at, bytes.length)).toBe(bytes.length);
    parser.finish();
    expect(transcript.finish().slice(-2)).toEqual(['body "\\u0016\\u0003"', 'end']);
  });
  test('what follows a refused upgrade is the next request', () => {
    const { parser, transcript, bytes, at } = held(
      'GET /1 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n',
    );
    expect(parser.isHeld).toBe(true);
    parser.resume();
    expect(parser.execute(bytes, at, bytes.length)).toBe(bytes.length);
    expect(transcript.finish().filter((l) => l.startsWith('request')).length).toBe(2);
  });
  test('an upgrade without the connection option, or in HTTP/1.0, is none', () => {
    expect(
      transcribeRequests(latin1Bytes('GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\n\r\n'))[0],
    ).not.toContain(' upgrade');
    expect(
      transcribeRequests(
        latin1Bytes('GET / HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n'),
      )[0],
    ).not.toContain(' upgrade');
  });
  test('CONNECT with content is refused', () => {
    for (const fields of ['Content-Length: 1', 'Transfer-Encoding: chunked']) {
      expect(
        transcribeRequests(latin1Bytes(`CONNECT b:443 HTTP/1.1\r\nHost: b\r\n${fields}\r\n\r\n`)),
      ).toEqual(['error h1-connect-with-content 400']);
    }
  });
});

test('a paused parser stops after the message and leaves the rest', () => {
  const transcript = new Transcript();
  const parser = new H1RequestParser(transcript);
  const one = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab';
  const bytes = latin1Bytes(one + one);
  parser.pause();
  expect(parser.execute(bytes, 0, bytes.length)).toBe(0);
  parser.resume();
  transcript.onRequestHead = () => parser.pause();
  expect(parser.execute(bytes, 0, bytes.length)).toBe(one.length);
  expect(parser.isIdle).toBe(true);
  expect(transcript.finish()).toEqual(['body "ab"', 'end']);
});

test('an edited head is written with its edits, untouched lines as they came', () => {
  const parser = new H1RequestParser(new Transcript());
  const bytes = latin1Bytes('GET / HTTP/1.1\r\nHOST:  a \r\nX-A: 1\r\nX-B: 2\r\nx-a: 3\r\n\r\n');
  parser.execute(bytes, 0, bytes.length);
  const { headers } = parser.head;
  headers.set('x-a', 'new');
  headers.set(H.xRequestId, 'id');
  headers.remove('x-b');
  const options: RequestWriteOptions = {
    bodyKind: 'none',
    contentLength: 0,
    connection: 'omit',
    passesUpgrade: false,
  };
  const end = writeRequestHead(out, 0, 'GET', '/rewritten', headers, options);
  expect(decodeLatin1(out, 0, end)).toBe(
    'GET /rewritten HTTP/1.1\r\nHOST:  a \r\nX-A: new\r\nx-request-id: id\r\n\r\n',
  );
  expect(writeRequestHead(out, out.length - 60, 'GET', '/', headers, options)).toBe(-1);
});
