/**
 * The Upgrade from HTTP/1.1 to h2c on a client's request (RFC 7540 §3.2; RFC 9113 dropped it, old clients
 * still ask). Envoy has no such thing, so it is off unless the listener's metadata says otherwise; a client
 * whose wish is not met is answered in HTTP/1.1.
 */
import { H, HeaderList, type RequestHead } from '@sluice/wire';
import type { RequestMessage } from './streams.ts';

/** Takes the connection over as HTTP/2, the request that asked for it included. */
export type UpgradeToH2 = (settings: Uint8Array, request: RequestMessage, rest: Uint8Array) => void;

/** Ends HTTP/1 on the connection; what follows is HTTP/2. */
export const SWITCHING_TO_H2C: Uint8Array = new TextEncoder().encode(
  'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n',
);

/** The client's SETTINGS payload, or null: it does not ask, or not in the form that the RFC demands. */
export function readH2cSettings(head: RequestHead): Uint8Array | null {
  const { headers } = head;
  if (!head.isUpgrade || head.bodyKind !== 'none') return null;
  if ((headers.get(H.upgrade) ?? '').toLowerCase() !== 'h2c') return null;
  const [value, second] = headers.getAll(H.http2Settings);
  const connection = (headers.joined(H.connection) ?? '').toLowerCase();
  if (value === undefined || second !== undefined || !/(^|,)\s*http2-settings\s*(,|$)/.test(connection))
    return null;
  if (!/^[A-Za-z0-9_-]*={0,2}$/.test(value)) return null;
  const payload = new Uint8Array(Buffer.from(value, 'base64url'));
  return payload.length % 6 === 0 ? payload : null;
}

/** The request without what concerned the hop, on octets of its own: the reader of HTTP/1 goes. */
export function h2cRequest(message: RequestMessage): RequestMessage {
  const headers = new HeaderList();
  message.headers.copyTo(headers);
  for (const id of [H.upgrade, H.http2Settings, H.connection, H.keepAlive, H.te]) headers.remove(id);
  return { ...message, headers, protocol: 'HTTP/2', upgrade: '' };
}
