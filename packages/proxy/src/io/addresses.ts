/**
 * Socket addresses as the kernel writes them (`struct sockaddr_in`, `sockaddr_in6`), for the calls that
 * Bun does not offer. Buffers are made on an ArrayBuffer of their own: one that moves under a native call
 * makes the kernel write into freed memory.
 */
import { isIPv4, isIPv6 } from 'node:net';

export const AF_INET = 2;
export const AF_INET6 = 10;
export const SOCKADDR_IN_BYTES = 16;
export const SOCKADDR_IN6_BYTES = 28;

/** Family, then port in network order, then the address; null for what is no IP address. */
export function encodeSocketAddress(address: string, port: number): Uint8Array | null {
  if (isIPv4(address)) {
    const bytes = new Uint8Array(new ArrayBuffer(SOCKADDR_IN_BYTES));
    writeFamilyAndPort(bytes, AF_INET, port);
    writeIpv4(bytes, 4, address);
    return bytes;
  }
  if (!isIPv6(address)) return null;
  const bytes = new Uint8Array(new ArrayBuffer(SOCKADDR_IN6_BYTES));
  writeFamilyAndPort(bytes, AF_INET6, port);
  writeIpv6(bytes, 8, address.split('%')[0]!);
  return bytes;
}

export interface SocketAddress {
  readonly address: string;
  readonly port: number;
}

/** The inverse; an IPv4-mapped IPv6 address comes out as IPv4. Null for other families. */
export function decodeSocketAddress(bytes: Uint8Array): SocketAddress | null {
  const family = bytes[0]! | (bytes[1]! << 8);
  const port = (bytes[2]! << 8) | bytes[3]!;
  if (family === AF_INET) return { address: bytes.subarray(4, 8).join('.'), port };
  if (family !== AF_INET6) return null;
  const groups: string[] = [];
  for (let at = 8; at < 24; at += 2) groups.push(((bytes[at]! << 8) | bytes[at + 1]!).toString(16));
  const isMapped =
    bytes.subarray(8, 18).every((octet) => octet === 0) && bytes[18] === 0xff && bytes[19] === 0xff;
  if (isMapped) return { address: bytes.subarray(20, 24).join('.'), port };
  return { address: compressZeros(groups), port };
}

/** IPv4 written as IPv6 (`::ffff:10.0.0.1`), as dual-stack sockets report it, back to IPv4. */
export function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && isIPv4(address.slice(7)) ? address.slice(7) : address;
}

function writeFamilyAndPort(bytes: Uint8Array, family: number, port: number): void {
  bytes[0] = family;
  bytes[2] = port >> 8;
  bytes[3] = port & 0xff;
}

function writeIpv4(bytes: Uint8Array, at: number, address: string): void {
  address.split('.').forEach((part, i) => {
    bytes[at + i] = Number(part);
  });
}

function writeIpv6(bytes: Uint8Array, at: number, address: string): void {
  const tail = address.slice(address.lastIndexOf(':') + 1);
  let text = address;
  if (tail.includes('.')) {
    const [a, b, c, d] = tail.split('.').map(Number) as [number, number, number, number];
    text = `${address.slice(0, -tail.length)}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  }
  const [left, right] = text.split('::') as [string, string | undefined];
  const before = left === '' ? [] : left.split(':');
  const after = right === undefined || right === '' ? [] : right.split(':');
  const groups =
    right === undefined
      ? before
      : [...before, ...Array<string>(8 - before.length - after.length).fill('0'), ...after];
  groups.forEach((group, i) => {
    const value = Number.parseInt(group, 16);
    bytes[at + i * 2] = value >> 8;
    bytes[at + i * 2 + 1] = value & 0xff;
  });
}

/** RFC 5952 §4.2: the longest run of two or more zero groups, the first of equals, becomes `::`. */
function compressZeros(groups: readonly string[]): string {
  let bestStart = -1;
  let bestLength = 1;
  for (let i = 0; i < groups.length; i++) {
    let length = 0;
    while (groups[i + length] === '0') length++;
    if (length > bestLength) [bestStart, bestLength] = [i, length];
    i += length;
  }
  if (bestStart < 0) return groups.join(':');
  return `${groups.slice(0, bestStart).join(':')}::${groups.slice(bestStart + bestLength).join(':')}`;
}
