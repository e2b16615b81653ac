/**
 * The binary header of version 2 (§2.2): signature, command, family, length, addresses, then values.
 * A checksum that is there must be right; lengths that overrun the header make it invalid.
 */
import { crc32c } from './crc32c.ts';
import { formatIpv4, formatIpv6 } from './ip-text.ts';
import { latin1Text } from './latin1-text.ts';
import {
  MAX_PROXY_UNIQUE_ID_BYTES,
  PP2,
  PROXY_UNIX_PATH_BYTES,
  PROXY_V2_FIXED_BYTES,
  type ProxyEndpoint,
  type ProxyHeader,
  type ProxyTlv,
} from './proxy-header.ts';

export type ProxyHeaderRead =
  | { readonly kind: 'header'; readonly header: ProxyHeader; readonly byteLength: number }
  | { readonly kind: 'needMore' }
  /** These octets do not begin a header. */
  | { readonly kind: 'absent' }
  /** They begin one, and it is wrong. */
  | { readonly kind: 'invalid'; readonly version: 1 | 2; readonly reason: string };

const LOCAL = 0x20;
const PROXY = 0x21;
const INET_BYTES = 12;
const INET6_BYTES = 36;
const UNIX_BYTES = 2 * PROXY_UNIX_PATH_BYTES;

/** `bytes` begins with the signature. */
export function readProxyV2(bytes: Uint8Array, maxBytes: number): ProxyHeaderRead {
  if (bytes.length < PROXY_V2_FIXED_BYTES) return { kind: 'needMore' };
  const command = bytes[12]!;
  const family = bytes[13]!;
  const byteLength = PROXY_V2_FIXED_BYTES + ((bytes[14]! << 8) | bytes[15]!);
  if (command !== LOCAL && command !== PROXY) return invalid('version or command is unknown');
  if (byteLength > maxBytes) return invalid(`the header is longer than ${maxBytes} octets`);
  if (bytes.length < byteLength) return { kind: 'needMore' };
  // Of LOCAL, family, addresses and values are to be ignored.
  if (command === LOCAL) return { kind: 'header', header: local, byteLength };
  const header = readProxied(bytes, family, byteLength);
  return typeof header === 'string' ? invalid(header) : { kind: 'header', header, byteLength };
}

const local: ProxyHeader = {
  version: 2,
  command: 'LOCAL',
  family: 'UNSPEC',
  transport: 'UNSPEC',
  source: null,
  destination: null,
  tlvs: [],
};

function invalid(reason: string): ProxyHeaderRead {
  return { kind: 'invalid', version: 2, reason };
}

const families = ['UNSPEC', 'INET', 'INET6', 'UNIX'] as const;
const transports = ['UNSPEC', 'STREAM', 'DGRAM'] as const;
const addressBytes = { UNSPEC: 0, INET: INET_BYTES, INET6: INET6_BYTES, UNIX: UNIX_BYTES } as const;

function readProxied(bytes: Uint8Array, familyOctet: number, end: number): ProxyHeader | string {
  const family = families[familyOctet >> 4];
  const transport = transports[familyOctet & 0x0f];
  if (family === undefined || transport === undefined) return 'the address family is unknown';
  const at = PROXY_V2_FIXED_BYTES;
  const tlvsAt = at + addressBytes[family];
  if (tlvsAt > end) return 'the header is shorter than its addresses';
  const tlvs = readTlvs(bytes, tlvsAt, end, true);
  if (typeof tlvs === 'string') return tlvs;
  const [source, destination] = readEndpoints(bytes, at, family);
  return { version: 2, command: 'PROXY', family, transport, source, destination, tlvs };
}

function readEndpoints(
  bytes: Uint8Array,
  at: number,
  family: ProxyHeader['family'],
): [ProxyEndpoint | null, ProxyEndpoint | null] {
  const port = (from: number): number => (bytes[from]! << 8) | bytes[from + 1]!;
  switch (family) {
    case 'UNSPEC':
      return [null, null];
    case 'INET':
      return [
        { address: formatIpv4(bytes, at), port: port(at + 8) },
        { address: formatIpv4(bytes, at + 4), port: port(at + 10) },
      ];
    case 'INET6':
      return [
        { address: formatIpv6(bytes, at), port: port(at + 32) },
        { address: formatIpv6(bytes, at + 16), port: port(at + 34) },
      ];
    case 'UNIX':
      return [
        { address: unixPath(bytes, at), port: 0 },
        { address: unixPath(bytes, at + PROXY_UNIX_PATH_BYTES), port: 0 },
      ];
  }
}

/** Up to the first NUL; an abstract name begins with one and is written with `@`. */
function unixPath(bytes: Uint8Array, at: number): string {
  const isAbstract = bytes[at] === 0;
  const start = isAbstract ? at + 1 : at;
  let end = start;
  while (end < at + PROXY_UNIX_PATH_BYTES && bytes[end] !== 0) end++;
  const path = latin1Text(bytes, start, end);
  return isAbstract && path !== '' ? `@${path}` : path;
}

/** The values of [at, end), or what is wrong. `isHeader`: the checksum covers the octets up to `end`. */
export function readTlvs(bytes: Uint8Array, at: number, end: number, isHeader: boolean): ProxyTlv[] | string {
  const tlvs: ProxyTlv[] = [];
  for (let next = at; next < end;) {
    if (next + 3 > end) return 'a value is cut off';
    const type = bytes[next]!;
    const start = next + 3;
    next = start + ((bytes[start - 2]! << 8) | bytes[start - 1]!);
    if (next > end) return 'a value is longer than the header';
    if (type === PP2.noop) continue;
    if (type === PP2.uniqueId && next - start > MAX_PROXY_UNIQUE_ID_BYTES)
      return `the unique id is longer than ${MAX_PROXY_UNIQUE_ID_BYTES} octets`;
    if (isHeader && type === PP2.crc32c) {
      if (next - start !== 4) return 'the checksum does not have four octets';
      const given = new DataView(bytes.buffer, bytes.byteOffset + start).getUint32(0);
      if (given !== crc32c(bytes, 0, end, start)) return 'the checksum is wrong';
      continue;
    }
    tlvs.push({ type, value: bytes.slice(start, next) });
  }
  return tlvs;
}
