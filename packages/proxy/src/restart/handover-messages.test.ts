import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { parseHandoverAnswer, parseHandoverRequest } from './handover-messages.ts';

test('what is said is understood', () => {
  const hello = { type: 'hello', protocol: 1, version: '0.1.0', epoch: 3 } as const;
  for (const request of [hello, { type: 'sockets', from: 128 }, { type: 'live' }] as const)
    expect(parseHandoverRequest(JSON.stringify(request))).toEqual(request);
  const sockets = [{ listener: 'main', key: '["127.0.0.1",80]', port: 80 }];
  for (const answer of [
    { type: 'hello', version: '0.1.0', epoch: 2, sockets: 300 },
    { type: 'sockets', sockets },
    { type: 'live' },
    { type: 'refused', reason: 'the epoch after 1 is not 3' },
  ] as const)
    expect(parseHandoverAnswer(JSON.stringify(answer))).toEqual(answer);
});

test('what is missing, of another type, or nothing at all is not', () => {
  for (const line of [
    '',
    'null',
    '[]',
    '{}',
    '{"type":"hello","protocol":"1","version":"0","epoch":1}',
    '{"type":"hello","protocol":1,"version":"0","epoch":-1}',
    '{"type":"sockets","from":1.5}',
    '{"type":"sockets","sockets":[{"key":"a","port":1}]}',
    '{"type":"sockets","sockets":[null]}',
    '{"type":"refused"}',
    '{"type":"bye"}',
  ])
    expect([line, parseHandoverRequest(line), parseHandoverAnswer(line)]).toEqual([line, null, null]);
});

test('property: no line throws', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (line) => {
      parseHandoverRequest(line);
      parseHandoverAnswer(line);
    }),
  );
});
