/** Where a client session's events go: those of a stream to its owner, the rest to the connection. */
import { h2ErrorName } from '@sluice/wire';
import type { H2ErrorCode, H2Session, H2SessionSink, H2Stream, HeaderList } from '@sluice/wire';
import type { H2UpstreamStream } from './h2-stream.ts';

export interface H2ClientOwner {
  readonly session: H2Session;
  /** Set once the transport is lost: why. */
  readonly lostDetail: string;
  onSettings(): void;
  onGoAway(): void;
  onPong(): void;
  onFailure(): void;
  onDrained(): void;
}

export class H2ClientSink implements H2SessionSink {
  readonly #owner: H2ClientOwner;

  constructor(owner: H2ClientOwner) {
    this.#owner = owner;
  }

  onHead(stream: H2Stream, isEnd: boolean): void {
    userOf(stream)?.onHead(isEnd);
  }

  /** Of the server role. */
  onHeadTooLarge(): void {}

  onInformational(stream: H2Stream): void {
    userOf(stream)?.onInformational();
  }

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

  onReset(stream: H2Stream, code: number, isByPeer: boolean, isProvablyUnprocessed: boolean): void {
    const user = userOf(stream);
    if (user === null) return;
    const { lostDetail } = this.#owner;
    if (isProvablyUnprocessed) user.onReset('refused-stream', 'the peer refused the stream');
    else if (lostDetail !== '') user.onReset('connection-termination', lostDetail);
    else if (isByPeer) user.onReset('remote-reset', `reset by the peer: ${h2ErrorName(code)}`);
    else user.onReset('protocol-error', `invalid response: ${h2ErrorName(code)}`);
  }

  onGoAway(): void {
    this.#owner.onGoAway();
  }

  onSettings(): void {
    this.#owner.onSettings();
  }

  onPong(): void {
    this.#owner.onPong();
  }

  onFailure(_code: H2ErrorCode): void {
    this.#owner.onFailure();
  }

  onDrained(): void {
    this.#owner.onDrained();
  }
}

function userOf(stream: H2Stream): H2UpstreamStream | null {
  return stream.user as H2UpstreamStream | null;
}
