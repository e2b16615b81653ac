import { expect, test } from 'bun:test';
import { addressFamily, addressProblem, hostProblem } from './names.ts';

test('an address with a zone is none: it means something on one machine only', () => {
  expect(['10.0.0.1', 'fe80::1', 'fe80::1%eth0', 'a'].map(addressFamily)).toEqual([4, 6, 0, 0]);
  expect(hostProblem('fe80::1', { address: true })).toBeUndefined();
  expect(hostProblem('fe80::1%eth0', { address: true })).toBe('is not a host name');
  expect(addressProblem('fe80::1%eth0')).toBe('must be an IP address or CIDR range');
});
