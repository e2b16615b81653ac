/**
 * The seams between the exchange and the protocols: one stream towards the client, one per attempt towards
 * an endpoint. HTTP/1.1 and HTTP/2 implement both.
 *
 * Bodies move by credit. Whoever receives body bytes says `consumed(n)` once they have left (or been
 * dropped); a stream that has handed out a window's worth without credit stops its peer: HTTP/1 by pausing
 * the socket, HTTP/2 by withholding WINDOW_UPDATE. In the other direction `isWritable` turns false when
 * too much waits, and `onWritable` follows.
 *
 * An upgraded or CONNECT stream goes on as opaque bytes through the same calls; an end is a half-close.
 * An upgrade has the form of HTTP/1.1 here (GET, `upgrade`, 101), whatever the two sides speak: HTTP/2
 * streams translate it from and to extended CONNECT (RFC 8441) at their end.
 */
import type { ConnectionFacts } from '../listener/connection-facts.ts';
import type { HeaderList } from '@sluice/wire';
import type { TlsFacts } from '../io/tls-facts.ts';
import type { Cluster, Endpoint, PriorityLimits } from '../cluster/cluster.ts';

/** Octets of body that a stream hands out before it wants credit. */
export const STREAM_WINDOW_BYTES = 64 * 1024;

/** In `RequestMessage.upgrade`: CONNECT, and nothing that a field of a request may say. */
export const TUNNEL = 'connect';

/** A request as all protocols mean it. One per stream, reused. `headers` always holds `host`. */
export interface RequestMessage {
  method: string;
  scheme: 'http' | 'https';
  authority: string;
  /** With query; `*` for OPTIONS of the server; empty for CONNECT. */
  path: string;
  protocol: 'HTTP/1.0' | 'HTTP/1.1' | 'HTTP/2';
  readonly headers: HeaderList;
  /** Lower-case Upgrade protocol, `TUNNEL` for CONNECT, empty for a plain request. */
  upgrade: string;
  expectsContinue: boolean;
  /** Declared length of the body, -1 when it is not known: framing follows this, not the header field. */
  contentLength: number;
}

export interface ResponseMessage {
  status: number;
  readonly headers: HeaderList;
  /** Declared length of the body, -1 when it is not known. Without meaning where there is no body. */
  contentLength: number;
}

/** `remote-reset`: only this stream, by RST_STREAM. */
export type DownstreamResetCause = 'disconnected' | 'remote-reset' | 'protocol-error';

/** What a downstream stream tells its exchange. */
export interface RequestSink {
  /** `isEnd`: there is no body. */
  onRequestHead(message: RequestMessage, isEnd: boolean): void;
  onRequestData(data: Uint8Array, start: number, end: number): void;
  /** After this nothing but onWritable and onDownstreamReset comes. */
  onRequestEnd(trailers: HeaderList | null): void;
  onWritable(): void;
  onDownstreamReset(cause: DownstreamResetCause, detail: string): void;
}

/** Whoever chose the codec of a client's connection. */
export interface CodecOwner {
  /** The connection has closed, and every exchange on it was told. */
  onCodecGone(): void;
}

/** What an exchange tells its downstream stream. */
export interface DownstreamStream {
  readonly isWritable: boolean;
  sendInformational(response: ResponseMessage): void;
  /** With `isTunnel` (101, or 2xx to CONNECT) both directions are opaque bytes from here on. */
  sendHead(response: ResponseMessage, isEnd: boolean, isTunnel: boolean): void;
  /** `data` must not change afterwards. */
  sendData(data: Uint8Array, start: number, end: number): void;
  sendEnd(trailers: HeaderList | null): void;
  consumed(byteCount: number): void;
  /** The response cannot be completed: the client must notice (HTTP/1 closes, HTTP/2 resets). */
  abort(): void;
  /** What was written leaves now; telemetry follows. */
  flush(): void;
  /** The last call: the exchange is free for the next request. */
  exchangeEnded(): void;
}

export type UpstreamReset =
  /** Provably unprocessed. */
  | 'connect-failed'
  | 'connect-timeout'
  | 'no-descriptor'
  /** The handshake with the endpoint failed, or one side did not accept the other. */
  | 'tls-failed'
  /** We had no certificate to show, or one that has expired. */
  | 'identity-missing'
  | 'identity-expired'
  | 'overflow'
  | 'refused-stream'
  /** The connection or stream ended before the response was complete. */
  | 'connection-termination'
  | 'remote-reset'
  | 'protocol-error';

/** What an upstream stream tells its attempt. Nothing follows `onResponseEnd` or `onUpstreamReset`. */
export interface ResponseSink {
  onUpstreamReady(stream: UpstreamStream): void;
  onInformational(response: ResponseMessage): void;
  /** `isEnd`: no body follows; `onResponseEnd` still does. */
  onResponseHead(response: ResponseMessage, isEnd: boolean): void;
  onResponseData(data: Uint8Array, start: number, end: number): void;
  onResponseEnd(trailers: HeaderList | null): void;
  onUpstreamWritable(): void;
  /** `detail` is for the log (`%UPSTREAM_TRANSPORT_FAILURE_REASON%`), never for the client. */
  onUpstreamReset(reset: UpstreamReset, detail: string): void;
}

export interface UpstreamRequest {
  method: string;
  scheme: 'http' | 'https';
  /** Where a CONNECT goes. Else `host` in `headers` counts, which edits may have changed since. */
  authority: string;
  path: string;
  readonly headers: HeaderList;
  upgrade: string;
  /** The client spoke HTTP/2, where a WebSocket has no key (RFC 8441 §5): a hop of HTTP/1 makes one. */
  needsWebSocketKey: boolean;
  contentLength: number;
}

/** What an attempt tells its upstream stream. */
export interface UpstreamStream {
  readonly endpoint: Endpoint;
  readonly localAddress: string;
  /** Null on a plain connection. */
  readonly tls: TlsFacts | null;
  /** The connection has carried a request before: a death before any response byte may be its idle end. */
  readonly isReused: boolean;
  readonly isWritable: boolean;
  /** Octets given to it, or to a connection that carries nothing else, which have not left. */
  readonly queuedBytes: number;
  sendHead(request: UpstreamRequest, isEnd: boolean): void;
  sendData(data: Uint8Array, start: number, end: number): void;
  sendEnd(trailers: HeaderList | null): void;
  consumed(byteCount: number): void;
  /** The attempt is over for us, finished or not; no callback follows. */
  release(): void;
}

/** What kind of stream an attempt needs. One object per attempt, reused. */
export interface StreamWish {
  /** False: only on a connection that has carried nothing. */
  mayReuse: boolean;
  /** Opaque octets over a connection of its own, never pooled: a CONNECT that ends here. */
  isTunnel: boolean;
  /** The request came over HTTP/2: what `use_downstream_protocol_config` asks. */
  isH2: boolean;
  /** What `auto_sni` sends; empty = the transport's own name. */
  serverName: string;
  /** Whom it is for, which a PROXY header tells; null for a call of our own. */
  downstream: ConnectionFacts | null;
}

/** Where attempts get their streams from: the connection pools. */
export interface UpstreamConnector {
  /** Calls `onUpstreamReady` or `onUpstreamReset`, perhaps before it returns. */
  open(
    cluster: Cluster,
    limits: PriorityLimits,
    endpoint: Endpoint,
    sink: ResponseSink,
    wish: StreamWish,
  ): void;
  /** The sink waits no more. Does nothing once it was called. */
  cancel(endpoint: Endpoint, sink: ResponseSink): void;
}
