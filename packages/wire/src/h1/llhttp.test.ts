import { describe, expect, test } from 'bun:test';
import { existsSync, readFileSync } from 'node:fs';
import { decodeLatin1, latin1Bytes } from '../headers/bytes.ts';
import { caseBytes, type LlhttpCase } from './llhttp-case.ts';
import { transcribeRequests, transcribeResponses } from './transcript.ts';

/** Cases that llhttp reads and we refuse, or end differently, on purpose: title → why. */
const stricter: ReadonlyMap<string, string> = new Map([
  ['M-SEARCH request', '`*` is a target of OPTIONS only (RFC 9112 §3.2.4)'],
  ['OPTIONS request with RTSP', 'RTSP is another protocol'],
  ['PRI request HTTP2', 'HTTP/2 is told apart by protocol detection, before this parser'],
  [
    'POST with `chunked` as last transfer-encoding (multiple headers)',
    'a fragment in the target, and deflate: a coding we do not know is 501 (RFC 9112 §6.1)',
  ],
  ['Fragment in URI', 'a request target has no fragment (RFC 9112 §3.2)'],
  ['`host:port` and basic auth', 'userinfo in an authority is an error (RFC 9110 §4.2.4)'],
  ['RTSP response', 'RTSP is another protocol'],
  [
    'multiple transfer-encoding where chunked is not the last one',
    'a coding after chunked has two readings (RFC 9112 §6.3)',
  ],
]);
/** Cases that llhttp refuses and we end in silence: the rest of the connection is not read. */
const discarded: ReadonlyMap<string, string> = new Map([
  [
    'No restart when keep-alive is off (1.0)',
    'what follows a last message is discarded, never parsed (RFC 9112 §9.6)',
  ],
]);
/** Cases that llhttp's harness reads with help: it was told to skip content that the head announces. */
const helped: ReadonlySet<string> = new Set([
  'test/request/content-length.md: Content-Length reset when no body is received',
  'test/response/content-length.md: Content-Length reset when no body is received',
]);

const folder =
  process.env['SLUICE_CASES'] ?? new URL('../../../../../shared/cases', import.meta.url).pathname;
const path = `${folder}/http1/llhttp.json`;
const cases = existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as LlhttpCase[]) : undefined;
if (cases === undefined)
  console.warn(
    'SKIPPED: llhttp cases are absent; set SLUICE_CASES to the folder that holds http1/llhttp.json',
  );

describe.skipIf(cases === undefined)('the HTTP/1 cases of llhttp', () => {
  const strict = (cases ?? []).filter((c) => !c.lenient && c.type !== null);

  test('there are as many as when this list was made', () => {
    expect(strict.length).toBeGreaterThan(95);
    for (const title of [...stricter.keys(), ...discarded.keys()])
      expect(strict.map((c) => c.title)).toContain(title);
  });

  for (const c of strict) {
    const theirError = c.log
      .split('\n')
      .find((line) => line.includes('error code=') && !line.includes('Pause on CONNECT'));
    test(`${c.file}: ${c.title}: ${theirError === undefined || stricter.has(c.title) ? 'read' : 'refused'} whole and in pieces`, () => {
      const whole = read(c, undefined);
      for (const size of [1, 2, 7]) expect(read(c, [size])).toEqual(whole);
      const error = whole.find((line) => line.startsWith('error '));
      if (stricter.has(c.title)) expect(error).toBeDefined();
      else if (discarded.has(c.title))
        expect(whole.filter((line) => line.startsWith('request ')).length).toBe(1);
      else if (theirError !== undefined) expect(error).toBeDefined();
      else if (!helped.has(`${c.file}: ${c.title}`)) {
        expect(error).toBeUndefined();
        expectSameReading(c, whole);
      }
    });
  }

  test('the requests of those cases that have no Host are refused for that', () => {
    const withoutHost = strict.filter(
      (c) => c.type?.startsWith('request') === true && !/^host:/im.test(c.input),
    );
    const readable = withoutHost.filter(
      (c) => !c.log.includes('error code') && c.log.includes('v=1/1') && !stricter.has(c.title),
    );
    expect(readable.length).toBeGreaterThan(20);
    for (const c of readable)
      expect(transcribeRequests(caseBytes(c.input))).toContain('error h1-host-missing 400');
  });
});

function read(c: LlhttpCase, pieces: readonly number[] | undefined): string[] {
  const bytes = caseBytes(c.input);
  let text = decodeLatin1(bytes, 0, bytes.length);
  // Several refused cases stop inside their head: the rest makes us judge it.
  if (c.log.includes('error code')) text += '\r\n\r\n';
  const options = pieces === undefined ? {} : { pieces };
  if (c.type?.startsWith('response') === true) {
    return transcribeResponses(latin1Bytes(text), ['GET+upgrade', 'GET', 'GET'], options);
  }
  if (!/^host\s*:/im.test(text)) text = text.replace(/(HTTP\/\d\.\d\r\n)/g, '$1Host: added\r\n');
  return transcribeRequests(latin1Bytes(text), options);
}

/** Methods, targets, status codes, fields and content must be those of llhttp's log. */
function expectSameReading(c: LlhttpCase, ours: readonly string[]): void {
  const spans = [...c.log.matchAll(/span\[(\w+)\]=("(.*)"|cr|lf)$/gm)].map(
    (m) => [m[1]!, m[3] ?? (m[2] === 'cr' ? '\r' : '\n')] as const,
  );
  const joined = (kind: string): string =>
    spans
      .filter(([k]) => k === kind)
      .map(([, v]) => v)
      .join('');
  const all = (kind: string): string[] => spans.filter(([k]) => k === kind).map(([, v]) => v);
  const heads = ours.filter((line) => line.startsWith('request ')).map((line) => line.split(' '));
  // Their log also shows the parts of a last head that never ends.
  const readCount = ours.filter((line) => /^(request|response|informational) /.test(line)).length;
  expect(readCount).toBe(c.log.split('headers complete').length - 1);
  expect(heads.map((head) => head[1]!)).toEqual(all('method').slice(0, heads.length));
  if (c.type?.startsWith('response') !== true)
    expect(heads.map((head) => head[2]!)).toEqual(all('url').slice(0, heads.length));
  const addedHost = /^host\s*:/im.test(c.input) ? undefined : '  Host: ';
  const fields = ours.filter(
    (line) => line.startsWith('  ') && !(addedHost !== undefined && line.startsWith(addedHost)),
  );
  const names = fields.map((line) => line.slice(2, line.indexOf(':')));
  expect(names).toEqual(all('header_field').slice(0, names.length));
  if (all('method').length === heads.length) expect(names.length).toBe(all('header_field').length);
  const values = fields.map((line) => JSON.parse(line.slice(line.indexOf(':') + 2)) as string);
  expect(values).toEqual(
    all('header_value')
      .map((v) => v.replace(/\\t/g, '\t').replace(/[ \t]+$/, ''))
      .slice(0, values.length),
  );
  const body = ours
    .filter((line) => line.startsWith('body '))
    .map((line) => JSON.parse(line.slice(5)) as string)
    .join('');
  // A tunnel's octets are not in their log.
  if (!ours.some((line) => line.includes('body=tunnel'))) expect(body).toBe(joined('body'));
}
