/** What PP2_TYPE_SSL says of the client's TLS connection to the proxy before (§2.2.6). */
import { PP2, type ProxyTlv } from './proxy-header.ts';
import { readTlvs } from './read-proxy-v2.ts';

export interface ProxySslInfo {
  readonly isTls: boolean;
  /** A certificate came with this connection, or with this TLS session. */
  readonly hasCertOnConnection: boolean;
  readonly hasCertInSession: boolean;
  /** The client presented a certificate and it was found good. */
  readonly isVerified: boolean;
  /** `version`, `common name`, … by their types. */
  readonly tlvs: readonly ProxyTlv[];
}

const CLIENT_SSL = 0x01;
const CLIENT_CERT_CONN = 0x02;
const CLIENT_CERT_SESS = 0x04;
const FIXED_BYTES = 5;

/** Null where there is none, or it is malformed. */
export function readProxySsl(tlvs: readonly ProxyTlv[]): ProxySslInfo | null {
  const value = tlvs.find(({ type }) => type === PP2.ssl)?.value;
  if (value === undefined || value.length < FIXED_BYTES) return null;
  const client = value[0]!;
  const verify = new DataView(value.buffer, value.byteOffset).getUint32(1);
  const inner = readTlvs(value, FIXED_BYTES, value.length, false);
  if (typeof inner === 'string') return null;
  const hasCertOnConnection = (client & CLIENT_CERT_CONN) !== 0;
  const hasCertInSession = (client & CLIENT_CERT_SESS) !== 0;
  return {
    isTls: (client & CLIENT_SSL) !== 0,
    hasCertOnConnection,
    hasCertInSession,
    isVerified: verify === 0 && (hasCertOnConnection || hasCertInSession),
    tlvs: inner,
  };
}
