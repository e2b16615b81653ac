import { describe, expect, test } from 'bun:test';
import { latin1Bytes } from '../headers/bytes.ts';
import { defaultH1Limits } from './limits.ts';
import { transcribeRequests, transcribeResponses, type TranscribeOptions } from './transcript.ts';

const host = 'Host: a\r\n';

/** The transcript of a request stream, which must be the same however it is split. */
function requests(text: string, options: TranscribeOptions = {}): string[] {
  const bytes = latin1Bytes(text);
  const whole = transcribeRequests(bytes, options);
  for (const size of [1, 2, 7])
    expect(transcribeRequests(bytes, { ...options, pieces: [size] })).toEqual(whole);
  return whole;
}
function responses(
  text: string,
  methods: readonly string[] = ['GET'],
  options: TranscribeOptions = {},
): string[] {
  const bytes = latin1Bytes(text);
  const whole = transcribeResponses(bytes, methods, options);
  for (const size of [1, 2, 7])
    expect(transcribeResponses(bytes, methods, { ...options, pieces: [size] })).toEqual(whole);
  return whole;
}
function get(fields: string, rest = ''): string[] {
  return requests(`GET / HTTP/1.1\r\n${fields}\r\n${rest}`);
}
function post(fields: string, content = ''): string[] {
  return requests(`POST / HTTP/1.1\r\n${host}${fields}\r\n${content}`);
}

describe('§2.2 message parsing', () => {
  test('one empty line before the request line is passed over, a second is not', () => {
    expect(requests(`\r\nGET / HTTP/1.1\r\n${host}\r\n`).at(-1)).toBe('end');
    expect(requests(`\r\n\r\nGET / HTTP/1.1\r\n${host}\r\n`)).toEqual(['error h1-request-line-invalid 400']);
  });
  test('a bare LF or CR ends no line', () => {
    expect(requests(`GET / HTTP/1.1\n${host}\n`)).toEqual(['error h1-line-ending-invalid 400']);
    expect(get('Host: a\nX: b\r\n')).toEqual(['error h1-line-ending-invalid 400']);
    expect(get('Host: a\rX: b\r\n')).toEqual(['error h1-line-ending-invalid 400']);
    expect(get(`${host}\rX: b\r\n\r\n`)).toEqual(['error h1-line-ending-invalid 400']);
  });
  test('whitespace between start line and first field is refused', () => {
    expect(get(` ${host}`)).toEqual(['error h1-obs-fold 400']);
  });
});

describe('§2.3 version', () => {
  for (const [version, error] of [
    ['HTTP/2.0', 'h1-version-unsupported 505'],
    ['HTTP/1.2', 'h1-version-unsupported 505'],
    ['HTTP/0.9', 'h1-version-unsupported 505'],
    ['http/1.1', 'h1-version-invalid 400'],
    ['HTTP/1', 'h1-version-invalid 400'],
    ['HTTP/1.10', 'h1-version-invalid 400'],
  ] as const) {
    test(`${version} is refused`, () =>
      expect(requests(`GET / ${version}\r\n${host}\r\n`)).toEqual([`error ${error}`]));
  }
  test('HTTP/0.9 requests are refused', () => {
    expect(requests('GET /\r\n')).toEqual(['error h1-version-invalid 400']);
  });
});

describe('§3 request line', () => {
  test('more than one space, a missing target, or an invalid method is refused', () => {
    expect(requests(`GET  / HTTP/1.1\r\n${host}\r\n`)).toEqual(['error h1-request-line-invalid 400']);
    expect(requests(`GET /  HTTP/1.1\r\n${host}\r\n`)).toEqual(['error h1-version-invalid 400']);
    expect(requests(`G@T / HTTP/1.1\r\n${host}\r\n`)).toEqual(['error h1-method-invalid 400']);
    expect(requests(`GET\r\n${host}\r\n`)).toEqual(['error h1-request-line-invalid 400']);
  });
  test('an unknown method is passed on', () => {
    expect(requests(`FROBNICATE / HTTP/1.1\r\n${host}\r\n`)[0]).toStartWith('request FROBNICATE / ');
  });
  test('a line beyond the limit is 414, at the limit it is read', () => {
    const limits = { ...defaultH1Limits, maxStartLineBytes: 40 };
    const line = (n: number): string =>
      `GET /${'a'.repeat(n - 'GET / HTTP/1.1'.length)} HTTP/1.1\r\n${host}\r\n`;
    expect(requests(line(40), { limits }).at(-1)).toBe('end');
    expect(requests(line(41), { limits })).toEqual(['error h1-request-line-too-long 414']);
    expect(requests('x'.repeat(60), { limits })).toEqual(['error h1-request-line-too-long 414']);
  });
});

describe('§3.2 request target', () => {
  const target = (method: string, text: string, fields = host): string[] =>
    requests(`${method} ${text} HTTP/1.1\r\n${fields}\r\n`);
  test('origin-form', () =>
    expect(target('GET', '/a?b=c')[0]).toContain('form=origin path=/a?b=c authority=a '));
  test('§3.2.2 the authority of absolute-form replaces Host', () => {
    expect(target('GET', 'http://b:81/x?y', host)).toEqual([
      'request GET http://b:81/x?y HTTP/1.1 form=absolute path=/x?y authority=b:81 body=none:0',
      '  Host: "b:81"',
      'end',
    ]);
  });
  test('§3.2.2 an absolute-form without path asks for "/"', () => {
    expect(target('GET', 'http://b')[0]).toContain('path=/ ');
    expect(target('GET', 'http://b?q')[0]).toContain('path=/?q ');
    expect(target('OPTIONS', 'http://b')[0]).toContain('path=* ');
  });
  test('§3.2.3 authority-form belongs to CONNECT and has a port', () => {
    expect(target('CONNECT', 'b:443')[0]).toContain('form=authority path= authority=b:443');
    expect(target('CONNECT', '[::1]:443')[0]).toContain('authority=[::1]:443');
    for (const bad of ['b', 'b:', '/x', ':443', 'b:99999', 'u@b:443'])
      expect(target('CONNECT', bad)).toEqual(['error h1-target-invalid 400']);
    expect(target('GET', 'b:443')).toEqual(['error h1-target-invalid 400']);
  });
  test('§3.2.4 asterisk-form belongs to OPTIONS', () => {
    expect(target('OPTIONS', '*')[0]).toContain('form=asterisk path=* ');
    expect(target('GET', '*')).toEqual(['error h1-target-invalid 400']);
  });
  for (const bad of [
    '/a#b',
    '/\x01',
    '/\x7f',
    '/\xe9',
    '/a\tb',
    'a',
    'ftp://b/',
    'http://',
    'http:///x',
    'http://u:p@b/',
    'http://b:x/',
  ]) {
    test(`${JSON.stringify(bad)} is refused`, () =>
      expect(target('GET', bad)).toEqual(['error h1-target-invalid 400']));
  }
  test('Host must stand exactly once and be a host', () => {
    expect(get('X: y\r\n')).toEqual(['error h1-host-missing 400']);
    expect(get(host + host)).toEqual(['error h1-host-repeated 400']);
    for (const bad of ['a b', 'a/b', 'u@a', 'a:b', '[::1', 'a:80:90', 'a%2', 'a\\b'])
      expect(get(`Host: ${bad}\r\n`)).toEqual(['error h1-host-invalid 400']);
    expect(get('Host:\r\n').at(-1)).toBe('end');
    expect(requests('GET / HTTP/1.0\r\n\r\n').at(-1)).toBe('end');
  });
});

describe('§4 status line', () => {
  test('the reason is optional and may hold obs-text', () => {
    expect(responses('HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n')[0]).toStartWith('response 200 "" ');
    expect(responses('HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n')[0]).toStartWith('response 200 "" ');
    expect(responses('HTTP/1.1 500 Oriënté\r\nContent-Length: 0\r\n\r\n')[0]).toStartWith(
      'response 500 "Oriënté" ',
    );
  });
  for (const [line, code] of [
    ['HTTP/1.1 20 OK', 'h1-status-line-invalid'],
    ['HTTP/1.1 2000 OK', 'h1-status-line-invalid'],
    ['HTTP/1.1  200 OK', 'h1-status-line-invalid'],
    ['HTTP/1.1 099 OK', 'h1-status-line-invalid'],
    ['HTTP/1.1 2x0 OK', 'h1-status-line-invalid'],
    ['HTTP/1.1', 'h1-status-line-invalid'],
    ['HTTP/2.0 200 OK', 'h1-version-unsupported'],
    ['ICY 200 OK', 'h1-version-invalid'],
    ['HTT', 'h1-version-invalid'],
    ['HTTP/1.1 200 a\x01', 'h1-status-line-invalid'],
  ] as const) {
    test(`${JSON.stringify(line)} is refused`, () =>
      expect(responses(`${line}\r\n\r\n`)).toEqual([`error ${code} 502`]));
  }
});

describe('§5 field syntax', () => {
  test('order, case and repetition are kept; whitespace around values is not', () => {
    expect(get(`${host}X-a: \t1 \t\r\nx-A:2\r\nEmpty:\r\n`).slice(1, -1)).toEqual([
      '  Host: "a"',
      '  X-a: "1"',
      '  x-A: "2"',
      '  Empty: ""',
    ]);
  });
  test('§5.1 whitespace before the colon is refused', () => {
    expect(get(`${host}X : y\r\n`)).toEqual(['error h1-header-name-invalid 400']);
    expect(responses('HTTP/1.1 200 OK\r\nX : y\r\n\r\n')).toEqual(['error h1-header-name-invalid 502']);
  });
  for (const name of ['', 'a b', 'a(', 'a\x00', 'é', 'a\x7f']) {
    test(`field name ${JSON.stringify(name)} is refused`, () =>
      expect(get(`${host}${name}: y\r\n`)).toEqual(['error h1-header-name-invalid 400']));
  }
  test('a line without colon is refused', () =>
    expect(get(`${host}abc\r\n`)).toEqual(['error h1-line-ending-invalid 400']));
  for (const value of ['a\x00b', '\x01', 'a\x7f', '\x0b']) {
    test(`value ${JSON.stringify(value)} is refused`, () =>
      expect(get(`${host}X: ${value}\r\n`)).toEqual(['error h1-header-value-invalid 400']));
  }
  test('§5.2 a folded line is refused in requests and becomes a space in responses', () => {
    expect(get(`${host}X: a\r\n b\r\n`)).toEqual(['error h1-obs-fold 400']);
    expect(
      responses('HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: a \r\n \t b \r\n\tc\r\nY: d\r\n\r\n'),
    ).toEqual([
      'response 200 "OK" HTTP/1.1 body=length:0',
      '  Content-Length: "0"',
      '  X: "a b c"',
      '  Y: "d"',
      'end',
    ]);
    expect(responses('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n chunked\r\n\r\n')).toEqual([
      'error h1-transfer-encoding-invalid 502',
    ]);
    expect(responses('HTTP/1.1 200 OK\r\n X: a\r\n\r\n')).toEqual(['error h1-obs-fold 502']);
  });
  test('limits of octets and of fields are 431', () => {
    const limits = { ...defaultH1Limits, maxHeaderBytes: 100, maxHeaderCount: 3 };
    const head = (fields: string): string[] => requests(`GET / HTTP/1.1\r\n${host}${fields}\r\n`, { limits });
    expect(head(`X: ${'a'.repeat(100 - host.length - 7)}\r\n`).at(-1)).toBe('end');
    expect(head(`X: ${'a'.repeat(100 - host.length - 6)}\r\n`)).toEqual(['error h1-headers-too-large 431']);
    expect(head(`X: ${'a'.repeat(400)}`)).toEqual(['error h1-headers-too-large 431']);
    expect(head('A: 1\r\nB: 2\r\n').at(-1)).toBe('end');
    expect(head('A: 1\r\nB: 2\r\nC: 3\r\n')).toEqual(['error h1-too-many-headers 431']);
  });
  test('a hundred thousand fields end in 431, not in memory', () => {
    const many = `GET / HTTP/1.1\r\n${host}${'a: b\r\n'.repeat(100_000)}\r\n`;
    expect(transcribeRequests(latin1Bytes(many))).toEqual(['error h1-too-many-headers 431']);
    expect(transcribeRequests(latin1Bytes(many), { pieces: [1] })).toEqual(['error h1-too-many-headers 431']);
  });
});

describe('§6 message body', () => {
  test('content by length, pipelined', () => {
    expect(
      requests(
        `POST /1 HTTP/1.1\r\n${host}Content-Length: 3\r\n\r\nabcGET /2 HTTP/1.1\r\n${host}\r\n`,
      ).filter((l) => !l.startsWith(' ')),
    ).toEqual([
      'request POST /1 HTTP/1.1 form=origin path=/1 authority=a body=length:3',
      'body "abc"',
      'end',
      'request GET /2 HTTP/1.1 form=origin path=/2 authority=a body=none:0',
      'end',
    ]);
  });
  for (const [value, code] of [
    ['+5', 'invalid'],
    ['-5', 'invalid'],
    ['0x5', 'invalid'],
    ['5 5', 'invalid'],
    ['5, 5', 'invalid'],
    ['', 'invalid'],
    ['5a', 'invalid'],
    ['9007199254740992', 'invalid'],
    ['99999999999999999999999999', 'invalid'],
    ['1e3', 'invalid'],
    ['5;', 'invalid'],
  ] as const) {
    test(`§6.2 Content-Length ${JSON.stringify(value)} is refused`, () => {
      expect(post(`Content-Length: ${value}\r\n`, 'abcde')).toEqual([`error h1-content-length-${code} 400`]);
    });
  }
  test('§6.3 repeated Content-Length is refused, equal or not, in both directions', () => {
    for (const second of [5, 6]) {
      expect(post(`Content-Length: 5\r\ncontent-length: ${second}\r\n`, 'abcde')).toEqual([
        'error h1-content-length-repeated 400',
      ]);
      expect(responses(`HTTP/1.1 200 OK\r\nContent-Length: 5\r\ncontent-length: ${second}\r\n\r\n`)).toEqual([
        'error h1-content-length-repeated 502',
      ]);
    }
  });
  test('§6.3 Content-Length with Transfer-Encoding is refused in both directions', () => {
    for (const fields of [
      'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n',
      'Transfer-Encoding: chunked\r\nContent-Length: 5\r\n',
    ]) {
      expect(post(fields, '0\r\n\r\n')).toEqual(['error h1-length-and-coding 400']);
      expect(responses(`HTTP/1.1 200 OK\r\n${fields}\r\n0\r\n\r\n`)).toEqual([
        'error h1-length-and-coding 502',
      ]);
    }
  });
  for (const [coding, error] of [
    ['identity', 'invalid 400'],
    ['chunked, identity', 'invalid 400'],
    ['chunked, chunked', 'invalid 400'],
    ['', 'invalid 400'],
    ['chunked,', 'invalid 400'],
    [', chunked', 'invalid 400'],
    ['xchunked', 'invalid 400'],
    ['chunkedx', 'invalid 400'],
    ['"chunked"', 'invalid 400'],
    ['chunked;q=1', 'invalid 400'],
  ] as const) {
    test(`§6.1 Transfer-Encoding ${JSON.stringify(coding)} is refused`, () => {
      expect(post(`Transfer-Encoding: ${coding}\r\n`, '0\r\n\r\n')).toEqual([
        `error h1-transfer-encoding-${error}`,
      ]);
    });
  }
  test('§6.1 a coding before chunked is 501, over two fields as well', () => {
    expect(post('Transfer-Encoding: gzip, chunked\r\n')).toEqual([
      'error h1-transfer-coding-unsupported 501',
    ]);
    expect(post('Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n')).toEqual([
      'error h1-transfer-coding-unsupported 501',
    ]);
    expect(post('Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n')).toEqual([
      'error h1-transfer-encoding-invalid 400',
    ]);
  });
  test('§6.1 chunked in HTTP/1.0 is refused', () => {
    expect(requests('POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n')).toEqual([
      'error h1-transfer-encoding-invalid 400',
    ]);
    expect(responses('HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n')).toEqual([
      'error h1-transfer-encoding-invalid 502',
    ]);
  });
  test('§6.3 HEAD, 204 and 304 have no content, whatever their fields say', () => {
    const fields = 'Content-Length: 5\r\n\r\n';
    expect(
      responses(`HTTP/1.1 200 OK\r\n${fields}HTTP/1.1 200 OK\r\n${fields}abcde`, ['HEAD', 'GET']).filter(
        (l) => !l.startsWith(' '),
      ),
    ).toEqual([
      'response 200 "OK" HTTP/1.1 body=none:5',
      'end',
      'response 200 "OK" HTTP/1.1 body=length:5',
      'body "abcde"',
      'end',
    ]);
    expect(responses(`HTTP/1.1 304 Not Modified\r\n${fields}`).at(-1)).toBe('end');
    expect(responses('HTTP/1.1 204 No Content\r\n\r\n')).toEqual([
      'response 204 "No Content" HTTP/1.1 body=none:-1',
      'end',
    ]);
  });
  test('§6.3 content without length lasts until the connection ends', () => {
    expect(responses('HTTP/1.1 200 OK\r\n\r\nabc', ['GET'], { endsConnection: true })).toEqual([
      'response 200 "OK" HTTP/1.1 body=until-close:0 close',
      'body "abc"',
      'end',
    ]);
  });
  test('§6.3 after 2xx to CONNECT, whatever length it announces, and after 101 all octets are the tunnel’s', () => {
    expect(
      responses('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\x00\xff', ['CONNECT'], {
        endsConnection: true,
      }),
    ).toEqual([
      'response 200 "OK" HTTP/1.1 body=tunnel:0 close',
      '  Transfer-Encoding: "chunked"',
      'body "\\u0000ÿ"',
      'end',
    ]);
    for (const fields of [
      'Content-Length: 1\r\nTransfer-Encoding: chunked',
      'Content-Length: 1\r\nContent-Length: 2',
      'Content-Length: x',
      'Transfer-Encoding: gzip',
    ]) {
      const text = (status: number): string => `HTTP/1.1 ${status} A\r\n${fields}\r\n\r\nabc`;
      expect(responses(text(200), ['CONNECT']).at(-1)).toBe('body "abc"');
      expect(responses(text(403), ['CONNECT']).at(-1)).toContain('error ');
      expect(responses(text(200), ['GET']).at(-1)).toContain('error ');
    }
    expect(responses('HTTP/1.1 403 No\r\nContent-Length: 1\r\n\r\nx', ['CONNECT']).at(-1)).toBe('end');
    expect(responses('HTTP/1.1 101 Go\r\nUpgrade: x\r\n\r\nabc', ['GET+upgrade']).at(-1)).toBe('body "abc"');
    expect(responses('HTTP/1.1 101 Go\r\nUpgrade: x\r\n\r\nabc', ['GET'])).toEqual([
      'error h1-upgrade-unexpected 502',
    ]);
  });
});

describe('§7 chunked', () => {
  const chunked = (content: string, options: TranscribeOptions = {}): string[] =>
    requests(`POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n${content}`, options).slice(3);
  test('chunks, extensions and trailers', () => {
    expect(
      chunked('5\r\nhello\r\n00a;x;y=z ; q = "a\\"b;"\r\n, chunked!\r\n0;last\r\nX-T: v\r\n\r\n'),
    ).toEqual(['body "hello, chunked!"', 'trailers', '  X-T: "v"', 'end']);
  });
  for (const [content, code] of [
    ['g\r\n', 'size-invalid'],
    ['\r\n', 'size-invalid'],
    [' 5\r\nhello\r\n', 'size-invalid'],
    ['-5\r\n', 'size-invalid'],
    ['+5\r\n', 'size-invalid'],
    ['0x5\r\nhello\r\n', 'size-invalid'],
    ['20000000000000\r\n', 'size-invalid'],
    ['ffffffffffffffffffff\r\n', 'size-invalid'],
    ['5,\r\n', 'size-invalid'],
    ['5 \r\nhello\r\n', 'extension-invalid'],
    ['5;\r\n', 'extension-invalid'],
    ['5;a=\r\n', 'extension-invalid'],
    ['5;a="b\r\n', 'extension-invalid'],
    ['5;a\nhello\r\n', 'extension-invalid'],
    ['5;a="\n"\r\n', 'extension-invalid'],
    ['2\r\nabc\r\n', 'unterminated'],
    ['2\r\nab\nx', 'unterminated'],
    ['2\r\nab\rx', 'unterminated'],
  ] as const) {
    test(`${JSON.stringify(content)} is refused`, () =>
      expect(chunked(content).at(-1)).toBe(`error h1-chunk-${code} 400`));
  }
  test('a bare LF or CR in a size line is refused', () => {
    expect(chunked('5\nhello\r\n').at(-1)).toBe('error h1-chunk-size-invalid 400');
    expect(chunked('5\rxhello\r\n').at(-1)).toBe('error h1-line-ending-invalid 400');
  });
  test('§7.1.1 extensions are bounded per line and per body', () => {
    expect(chunked(`1;${'a'.repeat(1100)}\r\n`).at(-1)).toBe('error h1-chunk-line-too-long 400');
    expect(chunked(`1;${'a'.repeat(900)}\r\nx\r\n`.repeat(20)).at(-1)).toBe(
      'error h1-chunk-line-too-long 400',
    );
    expect(chunked(`${'0'.repeat(1100)}1\r\n`).at(-1)).toBe('error h1-chunk-line-too-long 400');
  });
  test('§7.1.2 trailers are bounded, and may not change framing or routing', () => {
    for (const name of [
      'Content-Length: 5',
      'transfer-encoding: chunked',
      'Host: b',
      'Authorization: x',
      'X-Forwarded-For: y',
    ]) {
      expect(chunked(`0\r\n${name}\r\n\r\n`).at(-1)).toBe('error h1-trailer-forbidden 400');
    }
    expect(chunked(`0\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`).at(-1)).toBe('error h1-trailers-too-large 431');
    expect(chunked(`0\r\n${'X: a\r\n'.repeat(65)}\r\n`).at(-1)).toBe('error h1-trailers-too-large 431');
    expect(chunked('0\r\nX: a\r\n b\r\n\r\n').at(-1)).toBe('error h1-obs-fold 400');
  });
});

describe('§8 incomplete messages', () => {
  const ended = { endsConnection: true };
  test('an end inside head, content or chunk is reported', () => {
    for (const text of [
      'G',
      '\r',
      `GET / HTTP/1.1\r\n${host}`,
      `POST / HTTP/1.1\r\n${host}Content-Length: 5\r\n\r\nabc`,
      `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n0\r\n`,
    ]) {
      expect(requests(text, ended).at(-1)).toBe('error h1-truncated 400');
    }
    expect(responses('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc', ['GET'], ended).at(-1)).toBe(
      'error h1-truncated 502',
    );
    expect(responses('', ['GET'], ended)).toEqual(['error h1-truncated 502']);
  });
  test('an end between messages is no mistake', () => {
    expect(requests(`GET / HTTP/1.1\r\n${host}\r\n`, ended).at(-1)).toBe('end');
    expect(requests('', ended)).toEqual([]);
    expect(responses('', [], ended)).toEqual([]);
  });
});

describe('§9 connection management', () => {
  test('§9.3 persistence by version and option', () => {
    const first = (line: string, fields: string): string =>
      requests(`GET / ${line}\r\n${host}${fields}\r\n`)[0]!;
    expect(first('HTTP/1.1', '')).not.toContain(' close');
    expect(first('HTTP/1.1', 'Connection: foo , CLOSE\r\n')).toContain(' close');
    expect(first('HTTP/1.0', '')).toContain(' close');
    expect(first('HTTP/1.0', 'connection: Keep-Alive\r\n')).not.toContain(' close');
  });
  test('§9.3 a response that nobody asked for is refused', () => {
    expect(responses('HTTP/1.1 200 OK\r\n\r\n', [])).toEqual(['error h1-response-unexpected 502']);
    expect(responses('HTTP/1.1 204 No\r\n\r\nHTTP/1.1 200 OK\r\n\r\n', ['GET']).at(-1)).toBe(
      'error h1-response-unexpected 502',
    );
  });
  test('§9.6 nothing is read after a message that closes', () => {
    expect(
      requests(`GET / HTTP/1.1\r\n${host}Connection: close\r\n\r\nGET /2 HTTP/1.1\r\n${host}\r\n`).filter(
        (l) => l.startsWith('request'),
      ).length,
    ).toBe(1);
  });
});
