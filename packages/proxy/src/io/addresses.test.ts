import { expect, test } from 'bun:test';
import { decodeSocketAddress, encodeSocketAddress, plainAddress } from './addresses.ts';

test('addresses survive the kernel form and back', () => {
  for (const address of [
    '0.0.0.0',
    '127.0.0.1',
    '255.1.2.3',
    '::',
    '::1',
    'fe80::1:2',
    '2001:db8:0:1::',
    '1:2:3:4:5:6:7:8',
    'a::b:0:0:c',
    '64:ff9b::102:304',
  ]) {
    expect(decodeSocketAddress(encodeSocketAddress(address, 8080)!)).toEqual({ address, port: 8080 });
  }
});

test('mapped addresses come out as IPv4', () => {
  expect(decodeSocketAddress(encodeSocketAddress('::ffff:10.0.0.1', 1)!)).toEqual({
    address: '10.0.0.1',
    port: 1,
  });
  expect(plainAddress('::ffff:10.0.0.1')).toBe('10.0.0.1');
  expect(plainAddress('::ffff:beef')).toBe('::ffff:beef');
});

test('what is no address is null', () => {
  expect(encodeSocketAddress('reviews', 80)).toBeNull();
  expect(decodeSocketAddress(new Uint8Array(28))).toBeNull();
});
