/** Socket addresses in the kernel's layout. macOS begins with a length octet, Linux with a 16-bit family. */
import { isIPv4, isIPv6 } from 'node:net';
import { parseIp } from '../listener/ip-prefix.ts';
import { AF_INET, AF_UNIX, platform } from '../io/libc.ts';

const inBytes = 16;
const in6Bytes = 28;
const unixHeaderBytes = 2;
/** Room for a path with its NUL: 108 on Linux, 104 on macOS. */
const maxUnixPath = platform.isDarwin ? 103 : 107;

export interface EncodedAddress {
  readonly family: number;
  readonly bytes: Uint8Array;
}

/** Null for what is neither an IP address nor a path that fits. `@name` is Linux' abstract namespace. */
export function encodeAddress(address: string, port: number): EncodedAddress | null {
  if (isIPv4(address)) return encodeIp(address, port, AF_INET, inBytes, 4, 4);
  if (isIPv6(address)) return encodeIp(address, port, platform.AF_INET6, in6Bytes, 8, 16);
  if (port !== 0) return null;
  const path = Buffer.from(address);
  if (path.length > maxUnixPath) return null;
  const isAbstract = address.startsWith('@');
  const bytes = new Uint8Array(new ArrayBuffer(unixHeaderBytes + path.length + (isAbstract ? 0 : 1)));
  writeFamily(bytes, AF_UNIX);
  bytes.set(path, unixHeaderBytes);
  if (isAbstract) bytes[unixHeaderBytes] = 0;
  return { family: AF_UNIX, bytes };
}

/** Port of an address that the kernel gave. */
export function portOf(bytes: Uint8Array): number {
  const family = platform.isDarwin ? (bytes[1] ?? 0) : (bytes[0] ?? 0);
  return family === AF_UNIX ? 0 : ((bytes[2] ?? 0) << 8) | (bytes[3] ?? 0);
}

function encodeIp(
  address: string,
  port: number,
  family: number,
  size: number,
  at: number,
  length: number,
): EncodedAddress {
  const bytes = new Uint8Array(new ArrayBuffer(size));
  writeFamily(bytes, family);
  bytes[2] = port >> 8;
  bytes[3] = port & 0xff;
  let value = parseIp(address)?.value ?? 0n;
  for (let i = at + length - 1; i >= at; i--) {
    bytes[i] = Number(value & 0xffn);
    value >>= 8n;
  }
  return { family, bytes };
}

function writeFamily(bytes: Uint8Array, family: number): void {
  if (platform.isDarwin) {
    bytes[0] = bytes.length;
    bytes[1] = family;
  } else bytes[0] = family;
}
