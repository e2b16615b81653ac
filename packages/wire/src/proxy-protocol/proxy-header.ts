/**
 * What a PROXY protocol header says (HAProxy's specification, versions 1 and 2): who really connected, and
 * to what. Version 2 also carries type-length-values. Addresses are text, as everywhere in this program.
 */

export interface ProxyHeader {
  readonly version: 1 | 2;
  /** LOCAL: sent by the proxy on its own behalf (a health check); the socket's own addresses count. */
  readonly command: 'LOCAL' | 'PROXY';
  /** UNSPEC, and UNIX for who has no use for paths: the socket's own addresses count. */
  readonly family: 'UNSPEC' | 'INET' | 'INET6' | 'UNIX';
  readonly transport: 'UNSPEC' | 'STREAM' | 'DGRAM';
  /** Null where the family is UNSPEC. A Unix path has port 0. */
  readonly source: ProxyEndpoint | null;
  readonly destination: ProxyEndpoint | null;
  /** In the order of the header, NOOP and the checksum left out; empty for LOCAL and version 1. */
  readonly tlvs: readonly ProxyTlv[];
}

export interface ProxyEndpoint {
  readonly address: string;
  readonly port: number;
}

export interface ProxyTlv {
  readonly type: number;
  readonly value: Uint8Array;
}

/** Types of version 2's values (§2.2 of the specification). */
export const PP2 = {
  alpn: 0x01,
  authority: 0x02,
  crc32c: 0x03,
  noop: 0x04,
  uniqueId: 0x05,
  ssl: 0x20,
  sslVersion: 0x21,
  sslCommonName: 0x22,
  sslCipher: 0x23,
  sslSignatureAlgorithm: 0x24,
  sslKeyAlgorithm: 0x25,
  netns: 0x30,
} as const;

/** Of version 2, octets; also how every header of that version begins. */
export const PROXY_V2_SIGNATURE: Uint8Array = Uint8Array.from([
  0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a,
]);
export const PROXY_V2_FIXED_BYTES = 16;
/** §2.1: the longest line of version 1, its CRLF included. */
export const MAX_PROXY_V1_BYTES = 107;
/** §2.2.5: a unique id is at most this long. */
export const MAX_PROXY_UNIQUE_ID_BYTES = 128;
/** Octets of a Unix path in a header of version 2. */
export const PROXY_UNIX_PATH_BYTES = 108;
