/**
 * Headers to send. Addresses that are no IP addresses, or of two families that cannot be brought together,
 * become UNKNOWN or LOCAL: the receiver then counts the connection as ours.
 */
import { crc32c } from './crc32c.ts';
import { formatIpv6, mapIpv4, parseIpv4, parseIpv6 } from './ip-text.ts';
import {
  PP2,
  PROXY_V2_FIXED_BYTES,
  PROXY_V2_SIGNATURE,
  type ProxyEndpoint,
  type ProxyTlv,
} from './proxy-header.ts';

export interface WriteV2Options {
  readonly tlvs?: readonly ProxyTlv[];
  /** Adds the checksum. */
  readonly withChecksum?: boolean;
}

const LOCAL = 0x20;
const PROXY = 0x21;
const TCP_OVER_IPV4 = 0x11;
const TCP_OVER_IPV6 = 0x21;
const MAX_BODY_BYTES = 0xffff;

/** Version 1; null endpoints give `PROXY UNKNOWN`. */
export function writeProxyV1(source: ProxyEndpoint | null, destination: ProxyEndpoint | null): Uint8Array {
  const pair = addressPair(source, destination);
  if (pair === null) return ascii('PROXY UNKNOWN\r\n');
  // Mapped addresses keep their IPv6 spelling: the line says TCP6.
  const text = (bytes: Uint8Array): string =>
    bytes.length === 4
      ? bytes.join('.')
      : isMapped(bytes)
        ? `::ffff:${bytes.subarray(12).join('.')}`
        : formatIpv6(bytes, 0);
  const family = pair.source.length === 4 ? 'TCP4' : 'TCP6';
  const words = [text(pair.source), text(pair.destination), source?.port ?? 0, destination?.port ?? 0];
  return ascii(`PROXY ${family} ${words.join(' ')}\r\n`);
}

/** Version 2; null endpoints give LOCAL, without values. Values that would not fit are left out from the end. */
export function writeProxyV2(
  source: ProxyEndpoint | null,
  destination: ProxyEndpoint | null,
  options: WriteV2Options = {},
): Uint8Array {
  const pair = addressPair(source, destination);
  if (pair === null) return fixedPart(LOCAL, 0, 0);
  const addressBytes = pair.source.length;
  const checksumBytes = options.withChecksum === true ? 7 : 0;
  const tlvs = thatFit(options.tlvs ?? [], MAX_BODY_BYTES - 2 * addressBytes - 4 - checksumBytes);
  const tlvBytes = tlvs.reduce((sum, tlv) => sum + 3 + tlv.value.length, 0);
  const header = fixedPart(
    PROXY,
    addressBytes === 4 ? TCP_OVER_IPV4 : TCP_OVER_IPV6,
    2 * addressBytes + 4 + tlvBytes + checksumBytes,
  );
  let at = PROXY_V2_FIXED_BYTES;
  header.set(pair.source, at);
  header.set(pair.destination, at + addressBytes);
  at += 2 * addressBytes;
  const view = new DataView(header.buffer);
  view.setUint16(at, source?.port ?? 0);
  view.setUint16(at + 2, destination?.port ?? 0);
  at += 4;
  for (const { type, value } of tlvs) {
    header[at] = type;
    view.setUint16(at + 1, value.length);
    header.set(value, at + 3);
    at += 3 + value.length;
  }
  if (checksumBytes > 0) {
    header[at] = PP2.crc32c;
    view.setUint16(at + 1, 4);
    view.setUint32(at + 3, crc32c(header, 0, header.length));
  }
  return header;
}

function fixedPart(command: number, family: number, bodyBytes: number): Uint8Array<ArrayBuffer> {
  const header = new Uint8Array(PROXY_V2_FIXED_BYTES + bodyBytes);
  header.set(PROXY_V2_SIGNATURE, 0);
  header[12] = command;
  header[13] = family;
  new DataView(header.buffer).setUint16(14, bodyBytes);
  return header;
}

function thatFit(tlvs: readonly ProxyTlv[], roomBytes: number): ProxyTlv[] {
  const kept: ProxyTlv[] = [];
  let left = roomBytes;
  for (const tlv of tlvs) {
    left -= 3 + tlv.value.length;
    if (left < 0) break;
    kept.push(tlv);
  }
  return kept;
}

/** Both addresses in one family; IPv4 beside IPv6 is written mapped. */
function addressPair(
  source: ProxyEndpoint | null,
  destination: ProxyEndpoint | null,
): { source: Uint8Array; destination: Uint8Array } | null {
  const from = source === null ? null : octetsOf(source.address);
  const to = destination === null ? null : octetsOf(destination.address);
  if (from === null || to === null) return null;
  if (from.length === to.length) return { source: from, destination: to };
  return {
    source: from.length === 4 ? mapIpv4(from) : from,
    destination: to.length === 4 ? mapIpv4(to) : to,
  };
}

function octetsOf(address: string): Uint8Array | null {
  const [plain = ''] = address.split('%');
  return parseIpv4(plain) ?? parseIpv6(plain);
}

function isMapped(bytes: Uint8Array): boolean {
  return bytes.subarray(0, 10).every((octet) => octet === 0) && bytes[10] === 0xff && bytes[11] === 0xff;
}

function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
