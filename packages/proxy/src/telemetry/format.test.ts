import { describe, expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { ByteWriter } from './byte-writer.ts';
import { compileJsonFormat, ISTIO_JSON_FORMAT } from './format-json.ts';
import { compileTextFormat, ISTIO_TEXT_FORMAT, type LineFormat } from './format-text.ts';
import type { RequestRecord } from './record.ts';
import { finishedRequest, headers, rawHeader, TEST_PROCESS } from './records.test-double.ts';
import { createRequestRecord } from './request-record.ts';
import { FLAG } from './response-flags.ts';

function line(format: LineFormat, record: RequestRecord): string {
  const out = new ByteWriter();
  format(out, record);
  return Buffer.from(out.bytes.subarray(0, out.length)).toString('utf8');
}

function text(format: string, record: RequestRecord = finishedRequest(), omitEmpty = false): string {
  const problems: string[] = [];
  const compiled = compileTextFormat(format, omitEmpty, TEST_PROCESS, problems);
  expect(problems).toEqual([]);
  return line(compiled, record).replace(/\n$/, '');
}

function problemsOf(format: string): string[] {
  const problems: string[] = [];
  compileTextFormat(format, false, TEST_PROCESS, problems);
  return problems;
}

describe("Istio's default text format", () => {
  test('prints a forwarded request', () => {
    expect(text(ISTIO_TEXT_FORMAT)).toBe(
      '[2026-11-23T10:42:01.007Z] "GET /reviews/7?full=1 HTTP/1.1" 200 - via_upstream - "-" 0 379 12 9 "-" ' +
        '"curl/8.5" "5f8ad2d1-3b1c-4f0e-9d3c-1f2e3d4c5b6a" "reviews:9080" "10.0.0.7:9080" ' +
        'outbound|9080||reviews.default.svc.cluster.local 10.0.0.5:51234 10.0.0.9:9080 10.0.0.5:40312 - default',
    );
  });

  test('prints a failed connection', () => {
    const record = finishedRequest();
    record.status = 503;
    record.flags = FLAG.UF | FLAG.URX;
    record.upstreamTransportFailure = 'delayed connect error: 111';
    record.responseCodeDetails = 'upstream reset before response started';
    record.responseHeaders = null;
    expect(text(ISTIO_TEXT_FORMAT, record)).toContain(
      '" 503 UF,URX upstream_reset_before_response_started - "delayed_connect_error:_111" 0 379 12 - "-"',
    );
  });

  test('prints a TCP connection and an empty record with dashes', () => {
    const record = createRequestRecord();
    expect(text(ISTIO_TEXT_FORMAT, record)).toBe(
      '[1970-01-01T00:00:00.000Z] "- - -" 0 - - - "-" 0 0 - - "-" "-" "-" "-" "-" - - - - - -',
    );
  });

  test('prints the path before a rewrite', () => {
    const record = finishedRequest();
    record.path = '/v2/reviews';
    expect(text('%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %REQ(:PATH)%', record)).toBe(
      '/reviews/7?full=1 /v2/reviews',
    );
  });
});

describe('operators', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['%START_TIME(%s.%3f)%', '1795430521.007'],
    ['%START_TIME(%Y/%m/%d %H:%M:%S %z %6f)%', '2026/11/23 10:42:01 +0000 007000'],
    ['%REQUEST_DURATION% %RESPONSE_DURATION% %RESPONSE_TX_DURATION%', '1 10 2'],
    ['%REQ(USER-AGENT):4%', 'curl'],
    ['%REQ(NOPE?USER-AGENT)%', 'curl/8.5'],
    ['%RESP(content-type)% %RESP(:STATUS)%', 'application/json 200'],
    ['%TRAILER(grpc-message)%', '-'],
    [
      '%UPSTREAM_CLUSTER% %UPSTREAM_HOST_NAME%',
      'outbound|9080||reviews.default.svc.cluster.local 10.0.0.7:9080',
    ],
    ['%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_LOCAL_PORT%', '10.0.0.9 9080'],
    [
      '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_DIRECT_REMOTE_ADDRESS%',
      '10.0.0.5 10.0.0.5:40312',
    ],
    ['%HOSTNAME% %ENVIRONMENT(REGION)% %ENVIRONMENT(NONE)%', 'reviews-v1-0 eu -'],
    ['%STREAM_ID%', '5f8ad2d1-3b1c-4f0e-9d3c-1f2e3d4c5b6a'],
    ['%UPSTREAM_REQUEST_ATTEMPT_COUNT% 100%%', '1 100%'],
  ];
  test.each(cases)('%s', (format, expected) => {
    expect(text(format)).toBe(expected);
  });

  test('an IPv6 address stands in brackets before its port', () => {
    const record = finishedRequest();
    record.connection = { ...record.connection, remoteAddress: 'fd00::5' };
    expect(text('%DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%', record)).toBe(
      '[fd00::5]:40312 fd00::5',
    );
  });

  test('a client that is the peer itself has the port of its connection', () => {
    const record = finishedRequest();
    record.clientAddress = record.connection.remoteAddress;
    expect(text('%DOWNSTREAM_REMOTE_ADDRESS%', record)).toBe('10.0.0.5:40312');
  });

  test('a trusted forwarding header names the client, the direct address stays', () => {
    const record = finishedRequest();
    record.clientAddress = '203.0.113.9';
    expect(text('%DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_DIRECT_REMOTE_ADDRESS%', record)).toBe(
      '203.0.113.9:0 10.0.0.5:40312',
    );
  });

  test('dynamic metadata by namespace, key and deeper keys', () => {
    const record = finishedRequest();
    record.setMetadata('istio.authz', 'policy', { name: 'deny-all', rules: [1] });
    expect(text('%DYNAMIC_METADATA(istio.authz:policy:name)%', record)).toBe('deny-all');
    expect(text('%DYNAMIC_METADATA(istio.authz:none)%', record)).toBe('-');
    expect(text('%DYNAMIC_METADATA(istio.authz:policy:toString)%', record)).toBe('-');
  });

  test('omit_empty_values prints nothing in place of a dash', () => {
    expect(text('[%REQ(NOPE)%]', finishedRequest(), true)).toBe('[]');
  });

  test('header formats read the same values as strings', () => {
    const record = finishedRequest();
    expect(record.operator('REQ', 'user-agent', 4)).toBe('curl');
    expect(record.operator('DOWNSTREAM_REMOTE_ADDRESS', '', undefined)).toBe('10.0.0.5:40312');
    expect(record.operator('UPSTREAM_HOST', '', undefined)).toBe('10.0.0.7:9080');
    expect(record.operator('NOPE', '', undefined)).toBeNull();
  });
});

describe('format errors name the place', () => {
  test.each([
    ['%NO_SUCH%', 'unknown operator %NO_SUCH%'],
    ['a %REQ', 'malformed operator at offset 2 of "a %REQ"; write %% for a percent sign'],
    ['%REQ()%', 'operator %REQ% needs a header name, found ""'],
    ['%REQ(a?b?c)%', 'operator %REQ% takes one alternative, found "a?b?c"'],
    ['%PROTOCOL(x)%', 'operator %PROTOCOL% takes no argument, found "x"'],
    ['%START_TIME(%Q)%', 'unknown time conversion %Q in "%Q"'],
    [
      '%DYNAMIC_METADATA()%',
      'operator %DYNAMIC_METADATA% needs a namespace, e.g. %DYNAMIC_METADATA(istio.authz:policy)%',
    ],
  ])('%s', (format, problem) => {
    expect(problemsOf(format)).toEqual([problem]);
  });
});

function json(
  template: Parameters<typeof compileJsonFormat>[0],
  record = finishedRequest(),
  omitEmpty = false,
): string {
  const problems: string[] = [];
  const compiled = compileJsonFormat(template, omitEmpty, TEST_PROCESS, problems);
  expect(problems).toEqual([]);
  return line(compiled, record);
}

describe('JSON format', () => {
  test("Istio's fields have types, and what is missing is null", () => {
    expect(JSON.parse(json(ISTIO_JSON_FORMAT))).toEqual({
      start_time: '2026-11-23T10:42:01.007Z',
      route_name: 'default',
      method: 'GET',
      path: '/reviews/7?full=1',
      protocol: 'HTTP/1.1',
      response_code: 200,
      response_flags: '-',
      response_code_details: 'via_upstream',
      connection_termination_details: null,
      bytes_received: 0,
      bytes_sent: 379,
      duration: 12,
      upstream_service_time: '9',
      x_forwarded_for: null,
      user_agent: 'curl/8.5',
      request_id: '5f8ad2d1-3b1c-4f0e-9d3c-1f2e3d4c5b6a',
      authority: 'reviews:9080',
      upstream_host: '10.0.0.7:9080',
      upstream_cluster: 'outbound|9080||reviews.default.svc.cluster.local',
      upstream_local_address: '10.0.0.5:51234',
      downstream_local_address: '10.0.0.9:9080',
      downstream_remote_address: '10.0.0.5:40312',
      requested_server_name: null,
      upstream_transport_failure_reason: null,
    });
  });

  test('nested templates, texts with operators, literals, and order are kept', () => {
    const template = {
      z: { code: '%RESPONSE_CODE%', text: 'code=%RESPONSE_CODE% sni=%REQUESTED_SERVER_NAME%' },
      a: [1, true, null, '%PROTOCOL%'],
      'k"': 'q"\n',
    };
    expect(json(template)).toBe(
      '{"z":{"code":200,"text":"code=200 sni=-"},"a":[1,true,null,"HTTP/1.1"],"k\\"":"q\\"\\n"}\n',
    );
  });

  test('omit_empty_values leaves the key out, wherever it stands', () => {
    const template = {
      a: '%REQ(NOPE)%',
      b: { c: '%REQ(NOPE)%' },
      d: '%PROTOCOL%',
      e: ['%REQ(NOPE)%', 'x'],
      f: '%REQ(NOPE)%',
    };
    expect(json(template, finishedRequest(), true)).toBe('{"b":{},"d":"HTTP/1.1","e":["x"]}\n');
  });

  test('metadata keeps its own type', () => {
    const record = finishedRequest();
    record.setMetadata('ns', 'value', { list: [1, 'two\u2028'] });
    expect(json({ m: '%DYNAMIC_METADATA(ns:value)%' }, record)).toBe('{"m":{"list":[1,"two\\u2028"]}}\n');
  });
});

describe('no peer byte can forge a line', () => {
  const octets = fc.uint8Array({ maxLength: 64 });
  const textFormat = compileTextFormat(
    '"%REQ(X-A)%" %REQ(:PATH)% "%REQ(:AUTHORITY)%"\n',
    false,
    TEST_PROCESS,
    [],
  );
  const jsonFormat = compileJsonFormat(
    { a: '%REQ(X-A)%', p: '%REQ(:PATH)%', mixed: 'x %REQ(X-A):9% y' },
    false,
    TEST_PROCESS,
    [],
  );

  function hostile(bytes: Uint8Array, path: string): RequestRecord {
    const record = finishedRequest();
    record.requestHeaders = rawHeader('x-a', bytes);
    record.path = path;
    record.originalPath = path;
    record.authority = path;
    return record;
  }

  test('text: exactly one line, exactly four quotes, no control byte', () => {
    fc.assert(
      fc.property(octets, fc.string({ unit: 'binary' }), (bytes, path) => {
        const out = line(textFormat, hostile(bytes, path));
        expect(out.match(/\n/g)).toHaveLength(1);
        expect(out.endsWith('\n')).toBe(true);
        expect(out.match(/"/g)).toHaveLength(4);
        expect(out.slice(0, -1)).not.toMatch(/[\p{Cc}\u2028\u2029\ufffd]/u);
      }),
      { numRuns: 300 },
    );
  });

  test('JSON: one line that parses to the keys of the template', () => {
    fc.assert(
      fc.property(octets, fc.string({ unit: 'binary' }), (bytes, path) => {
        const out = line(jsonFormat, hostile(bytes, path));
        expect(out.match(/\n/g)).toHaveLength(1);
        expect(out.slice(0, -1)).not.toMatch(/[\p{Cc}\u2028\u2029]/u);
        const value: unknown = JSON.parse(out);
        expect(Object.keys(value as object)).toEqual(['a', 'p', 'mixed']);
      }),
      { numRuns: 300 },
    );
  });

  test('valid UTF-8 stays readable, other octets become escapes', () => {
    const record = finishedRequest();
    record.requestHeaders = headers(['x-a', Buffer.from('né"\\').toString('latin1')]);
    expect(line(textFormat, record)).toStartWith('"né\\x22\\x5C" ');
    record.requestHeaders = headers(['x-a', 'n\u00e9']);
    expect(line(textFormat, record)).toStartWith('"n\\xE9" ');
    expect(JSON.parse(line(jsonFormat, record))).toMatchObject({ a: 'n\\xE9' });
  });
});
