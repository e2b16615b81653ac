/**
 * The WebSocket handshake of HTTP/1 (RFC 6455 §4.1), where a hop speaks HTTP/2 on its other side: there no
 * key is sent (RFC 8441 §5), so the hop that turns the request into an Upgrade makes one and checks the
 * answer, and the hop that turns an Upgrade into extended CONNECT answers the client's.
 */
import { createHash } from 'node:crypto';
import type { Random } from '@sluice/runtime';
import { H, type HeaderList } from '@sluice/wire';
import type { UpstreamRequest } from './streams.ts';

/** RFC 6455 §1.3. */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

export function webSocketAccept(key: string): string {
  return createHash('sha1')
    .update(key + GUID)
    .digest('base64');
}

export class WebSocketHandshake {
  readonly #expected: string;

  private constructor(expected: string) {
    this.#expected = expected;
  }

  /** Null when the client's own words go through, key or none: the answer is for the client to check. */
  static of(request: UpstreamRequest, random: Random): WebSocketHandshake | null {
    const { headers, needsWebSocketKey } = request;
    if (!needsWebSocketKey || headers.has(H.secWebSocketKey)) return null;
    const bytes = new Uint8Array(16);
    random.bytes(bytes);
    const key = Buffer.from(bytes).toString('base64');
    headers.append(H.secWebSocketKey, key);
    if (!headers.has(H.secWebSocketVersion)) headers.append(H.secWebSocketVersion, '13');
    return new WebSocketHandshake(webSocketAccept(key));
  }

  /** Takes the answer out: it was for us. */
  accepts(headers: HeaderList): boolean {
    const isRight = headers.get(H.secWebSocketAccept) === this.#expected;
    headers.remove(H.secWebSocketAccept);
    return isRight;
  }
}
