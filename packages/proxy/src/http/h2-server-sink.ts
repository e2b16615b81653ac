/** Where a server session's events go: those of a stream to whoever serves it, the rest to the connection. */
import { h2ErrorName } from '@sluice/wire';
import type { H2ErrorCode, H2SessionSink, H2Stream, HeaderList } from '@sluice/wire';
import type { H2DownstreamStream } from './h2-downstream-stream.ts';

export interface H2ServerOwner {
  /** Set once the transport is lost. */
  readonly isLost: boolean;
  onRequest(stream: H2Stream, isEnd: boolean): void;
  onRequestTooLarge(stream: H2Stream): void;
  onRequestMalformed(isField: boolean): void;
  onPong(): void;
  onFailure(detail: string): void;
  onDrained(): void;
}

export class H2ServerSink implements H2SessionSink {
  readonly #owner: H2ServerOwner;

  constructor(owner: H2ServerOwner) {
    this.#owner = owner;
  }

  onHead(stream: H2Stream, isEnd: boolean): void {
    this.#owner.onRequest(stream, isEnd);
  }

  onHeadTooLarge(stream: H2Stream): void {
    this.#owner.onRequestTooLarge(stream);
  }

  onMalformed(_detail: string, isField: boolean): void {
    this.#owner.onRequestMalformed(isField);
  }

  /** Of the client role. */
  onInformational(): void {}

  onData(stream: H2Stream, buf: Uint8Array, start: number, end: number): void {
    const user = userOf(stream);
    if (user === null) stream.consumed(end - start);
    else user.onData(buf, start, end);
  }

  onEnd(stream: H2Stream, trailers: HeaderList | null): void {
    userOf(stream)?.onEnd(trailers);
  }

  onWritable(stream: H2Stream): void {
    userOf(stream)?.onWritable();
  }

  /** Details are Envoy's, as far as it has them. */
  onReset(stream: H2Stream, code: number, isByPeer: boolean): void {
    const user = userOf(stream);
    if (user === null) return;
    if (this.#owner.isLost) user.onReset('disconnected', 'downstream_remote_disconnect');
    else if (isByPeer) user.onReset('remote-reset', 'http2.remote_reset');
    else user.onReset('protocol-error', `http2.${h2ErrorName(code).toLowerCase()}`);
  }

  /** The client opens nothing more; what it opened is served. */
  onGoAway(): void {}

  onSettings(): void {}

  onPong(): void {
    this.#owner.onPong();
  }

  onFailure(_code: H2ErrorCode, detail: string): void {
    this.#owner.onFailure(detail);
  }

  onDrained(): void {
    this.#owner.onDrained();
  }
}

function userOf(stream: H2Stream): H2DownstreamStream | null {
  return stream.user as H2DownstreamStream | null;
}
