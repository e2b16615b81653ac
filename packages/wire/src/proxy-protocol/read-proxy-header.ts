/**
 * Reads a PROXY protocol header from the first octets of a connection. Nothing is consumed: the caller
 * drops `byteLength` octets once there is a verdict. Never throws, whatever the octets.
 *
 * Both versions are told apart within their first octet or two, so `absent` comes as soon as no header can
 * follow any more: a client without the header is not waited for.
 */
import { latin1Text } from './latin1-text.ts';
import { PROXY_V2_SIGNATURE, MAX_PROXY_V1_BYTES, type ProxyHeader } from './proxy-header.ts';
import { readProxyV2, type ProxyHeaderRead } from './read-proxy-v2.ts';
import { parseProxyV1 } from './read-proxy-v1.ts';

export type { ProxyHeaderRead };

/** Longer headers are refused: HAProxy's buffer, which bounds what it sends, is this large. */
export const DEFAULT_MAX_PROXY_HEADER_BYTES = 16_384;

const V1_PREFIX = 'PROXY ';
const LF = 0x0a;

export function readProxyHeader(
  bytes: Uint8Array,
  maxBytes: number = DEFAULT_MAX_PROXY_HEADER_BYTES,
): ProxyHeaderRead {
  if (bytes.length === 0) return needMore;
  if (startsAs(bytes, PROXY_V2_SIGNATURE)) {
    return bytes.length < PROXY_V2_SIGNATURE.length ? needMore : readProxyV2(bytes, maxBytes);
  }
  const isV1 = V1_PREFIX.startsWith(latin1Text(bytes, 0, Math.min(bytes.length, V1_PREFIX.length)));
  if (!isV1) return absent;
  return bytes.length < V1_PREFIX.length ? needMore : readV1(bytes);
}

const needMore: ProxyHeaderRead = { kind: 'needMore' };
const absent: ProxyHeaderRead = { kind: 'absent' };

function startsAs(bytes: Uint8Array, prefix: Uint8Array): boolean {
  const length = Math.min(bytes.length, prefix.length);
  for (let i = 0; i < length; i++) if (bytes[i] !== prefix[i]) return false;
  return true;
}

function readV1(bytes: Uint8Array): ProxyHeaderRead {
  const lineEnd = bytes.subarray(0, MAX_PROXY_V1_BYTES).indexOf(LF);
  if (lineEnd < 0) {
    return bytes.length >= MAX_PROXY_V1_BYTES
      ? { kind: 'invalid', version: 1, reason: 'the line of version 1 is longer than 107 octets' }
      : needMore;
  }
  const line = latin1Text(bytes, 0, lineEnd + 1);
  const parsed: ProxyHeader | string = line.endsWith('\r\n')
    ? parseProxyV1(line.slice(0, -2))
    : 'the line of version 1 does not end in CRLF';
  return typeof parsed === 'string'
    ? { kind: 'invalid', version: 1, reason: parsed }
    : { kind: 'header', header: parsed, byteLength: lineEnd + 1 };
}
