/** One exchange on a session, as its owner sees it. */
import type { HeaderList } from '../headers/header-list.ts';

/** Pseudo-header fields of the received head; '' where absent (status 0). */
export interface H2Pseudo {
  readonly method: string;
  readonly scheme: string;
  readonly authority: string;
  readonly path: string;
  /** Of extended CONNECT. */
  readonly protocol: string;
  readonly status: number;
}

export interface H2Stream {
  /** 0 on a client until its head was sent: ids go out in order. */
  readonly id: number;
  user: unknown;
  /** Without pseudo-headers; on requests `host` is present, from `:authority`. */
  readonly headers: HeaderList;
  readonly pseudo: H2Pseudo;
  /** Of the received head; -1 without content-length. */
  readonly contentLength: number;
  /** The peer's message is complete. */
  readonly isRemoteEnded: boolean;
  /** Our message is complete, be some of it still queued. */
  readonly isLocalEnded: boolean;
  /** Both ended and nothing queued, or reset. All methods are then without effect. */
  readonly isClosed: boolean;
  /** Octets given to sendData and not yet framed. */
  readonly queuedBytes: number;
  /** Queued octets are below the stream's cap. Nothing is refused above it. */
  readonly isWritable: boolean;
  /** `protocol` is '' but for extended CONNECT. `host` in `headers` gives way to `authority`. */
  sendRequestHead(
    method: string,
    scheme: string,
    authority: string,
    path: string,
    protocol: string,
    headers: HeaderList,
    isEnd: boolean,
  ): void;
  /** 1xx too, any number before the final one, with isEnd false. Connection-specific fields are left out. */
  sendResponseHead(status: number, headers: HeaderList, isEnd: boolean): void;
  /** `data` must not change afterwards: what the window does not allow waits as a reference. */
  sendData(data: Uint8Array, start: number, end: number, isEnd?: boolean): void;
  /** Ends our message; with trailers unless null. Without effect if it has ended. */
  sendEnd(trailers: HeaderList | null): void;
  /** The owner is done with this many octets of onData: gives window back to the peer. */
  consumed(byteCount: number): void;
  /**
   * RST_STREAM; drops what is queued. onReset is not called. NO_ERROR after a complete response throws the rest
   * of the request away instead, for as long as the client's window lasts (RFC 9113 §8.1).
   */
  reset(code: number): void;
  /**
   * The owner will not touch the stream, its heads nor its trailers again: once closed it is used for
   * another exchange. Never calling it is safe, and costs an allocation an exchange.
   */
  release(): void;
}
