/** IP prefixes for filter-chain matching: numbers rather than text, so that `::1` and `0:0::1` are one. */
import { isIPv4, isIPv6 } from 'node:net';
import type { CidrRange } from '@sluice/xds';
import type { ProblemScope } from '../config/problems.ts';

export interface IpPrefix {
  readonly bits: 32 | 128;
  readonly length: number;
  /** The address's leading `length` bits. */
  readonly network: bigint;
  /** Canonical text, equal for equal prefixes. */
  readonly key: string;
}

export interface IpValue {
  readonly bits: 32 | 128;
  readonly value: bigint;
}

export function compilePrefix(range: CidrRange, scope: ProblemScope): IpPrefix | null {
  const address = parseIp(range.addressPrefix);
  if (address === null) {
    scope.at('address_prefix').error(`"${range.addressPrefix}" is not an IP address`);
    return null;
  }
  const length = range.prefixLen ?? 0;
  if (length > address.bits) {
    scope.at('prefix_len').error(`must be at most ${address.bits}`);
    return null;
  }
  const network = address.value >> BigInt(address.bits - length);
  return { bits: address.bits, length, network, key: `${address.bits}:${network.toString(16)}/${length}` };
}

export function prefixContains(prefix: IpPrefix, address: IpValue): boolean {
  return (
    prefix.bits === address.bits && address.value >> BigInt(address.bits - prefix.length) === prefix.network
  );
}

export function parseIp(text: string): IpValue | null {
  if (isIPv4(text)) return { bits: 32, value: ipv4(text) };
  return isIPv6(text) ? { bits: 128, value: ipv6(text) } : null;
}

export function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1';
}

function ipv4(text: string): bigint {
  return text.split('.').reduce((value, part) => (value << 8n) | BigInt(part), 0n);
}

function ipv6(text: string): bigint {
  let plain = text.split('%')[0] ?? '';
  const dotted = /[0-9.]+$/.exec(plain)?.[0] ?? '';
  if (dotted.includes('.')) {
    const value = ipv4(dotted);
    plain = `${plain.slice(0, -dotted.length)}${(value >> 16n).toString(16)}:${(value & 0xffffn).toString(16)}`;
  }
  const [head = '', tail] = plain.split('::');
  const before = groups(head);
  const after = tail === undefined ? [] : groups(tail);
  const zeros = tail === undefined ? [] : Array.from({ length: 8 - before.length - after.length }, () => 0n);
  return [...before, ...zeros, ...after].reduce((value, group) => (value << 16n) | group, 0n);
}

function groups(text: string): bigint[] {
  return text === '' ? [] : text.split(':').map((group) => BigInt(`0x${group}`));
}
