/** SPIFFE IDs, serial numbers, join tokens, PEM: the text forms that people and files carry. */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { formatJoinToken, hashSecret, newJoinToken, parseJoinToken } from './join-token.ts';
import { formatPem, parsePem } from './pem.ts';
import { isProblem } from './problem.ts';
import { parseSerial, randomSerial, serialText } from './serial.ts';
import { parseSpiffeId, parseWorkloadId, spiffeId } from './spiffe-id.ts';
import { good } from './openssl.fixture.ts';

describe('SPIFFE IDs', () => {
  test('name a workload by namespace and account', () => {
    const id = good(parseWorkloadId(spiffeId('cluster.local', 'shop', 'cart')));
    expect(id).toEqual({
      text: 'spiffe://cluster.local/ns/shop/sa/cart',
      trustDomain: 'cluster.local',
      path: '/ns/shop/sa/cart',
      namespace: 'shop',
      account: 'cart',
    });
  });

  test.each([
    'http://cluster.local/ns/a/sa/b',
    'spiffe://',
    'spiffe://Upper/ns/a/sa/b',
    'spiffe://user@host/ns/a',
    'spiffe://host:1/ns/a',
    'spiffe://host/',
    'spiffe://host/a//b',
    'spiffe://host/a/../b',
    'spiffe://host/a/./b',
    'spiffe://host/a?b',
    'spiffe://host/a#b',
    'spiffe://host/%61',
    `spiffe://host/${'a'.repeat(2048)}`,
  ])('%s is none', (text) => {
    expect(isProblem(parseSpiffeId(text))).toBe(true);
  });

  test('of other forms name no workload', () => {
    expect(isProblem(parseSpiffeId('spiffe://a/x/y'))).toBe(false);
    for (const text of ['spiffe://a', 'spiffe://a/x/y', 'spiffe://a/ns/b/sa/c/d', 'spiffe://a/ns/b'])
      expect(isProblem(parseWorkloadId(text))).toBe(true);
  });
});

describe('serial numbers', () => {
  test('are 159 bits, positive, and differ', () => {
    const drawn = Array.from({ length: 100 }, randomSerial);
    expect(new Set(drawn.map(serialText)).size).toBe(100);
    for (const one of drawn) expect([one.length, (one[0] ?? 0) >> 6]).toEqual([20, 1]);
  });

  test('are recognised in every way of writing them', () => {
    for (const text of ['0A:1B', '0a1b', 'A1B', '0xa1b', ' 0a1b\n', '00:0A:1B'])
      expect(parseSerial(text)).toBe('0a1b');
    for (const text of ['', 'xyz', '0a'.repeat(21), 'a b']) expect(parseSerial(text)).toBeNull();
  });
});

describe('join tokens', () => {
  const pin = 'ab'.repeat(32);

  test('survive a file, with and without an address', () => {
    for (const token of [newJoinToken([pin]), newJoinToken([pin, 'cd'.repeat(32)], '10.0.0.1:15012')])
      expect(parseJoinToken(`${formatJoinToken(token)}\n`)).toEqual(token);
  });

  test('are one line without anything a shell or a YAML reader would take apart', () => {
    expect(formatJoinToken(newJoinToken([pin], 'a.b:15012'))).toMatch(/^sluice-join\.v1\.[A-Za-z0-9_-]+$/);
  });

  test.each([
    'sluice-join.v1.',
    'sluice-join.v1.e30',
    'sluice-join.v2.e30',
    `sluice-join.v1.${Buffer.from('{"id":"x","secret":"y","ca":[]}').toString('base64url')}`,
    `sluice-join.v1.${Buffer.from('[]').toString('base64url')}`,
    'a'.repeat(5000),
  ])('%s is none', (text) => {
    expect(isProblem(parseJoinToken(text))).toBe(true);
  });

  test('differ, and are kept as digests', () => {
    const [one, two] = [newJoinToken([pin]), newJoinToken([pin])];
    expect(one.secret).not.toBe(two.secret);
    expect(hashSecret(one.secret)).toMatch(/^[0-9a-f]{64}$/);
  });
});

describe('PEM', () => {
  test('blocks survive, whatever their bytes', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ minLength: 1, maxLength: 200 }), { maxLength: 4 }), (contents) => {
        const text = contents.map((content) => formatPem('X Y', content)).join('');
        expect(good(parsePem(text)).map(({ der }) => der)).toEqual(contents);
      }),
    );
  });

  test('cut or spoiled blocks are told, not thrown', () => {
    for (const text of [
      '-----BEGIN X',
      '-----BEGIN X-----\nAAAA\n',
      '-----BEGIN X-----\n***\n-----END X-----',
    ])
      expect(isProblem(parsePem(text))).toBe(true);
    expect(parsePem('')).toEqual([]);
  });
});
