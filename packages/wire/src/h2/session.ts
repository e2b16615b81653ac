/** The session as its owner sees it. */
import type { H2Stats } from './session-types.ts';
import type { H2Stream } from './stream.ts';

export interface H2Session {
  /** Client: preface and SETTINGS; server: SETTINGS. */
  start(): void;
  /** Server, after an h2c Upgrade: stream 1, half-closed (remote); the owner fills nothing in, it has the request. */
  startUpgraded(settingsPayload: Uint8Array): H2Stream;
  /** Takes octets of the peer. Events come from within; never throws on them. */
  receive(data: Uint8Array, start: number, end: number, nowMs: number): void;
  /** The peer or the transport is gone: every open stream gets onReset; nothing is written. */
  onTransportClosed(): void;
  /** `output.isWritable` is true again: queued DATA goes on, round robin. */
  onOutputDrain(): void;
  /** Client: null at the peer's MAX_CONCURRENT_STREAMS, while draining, or when ids are used up. */
  open(user: unknown): H2Stream | null;
  /** 6 octets of payload, told back by onPong. */
  ping(payload: number): void;
  /** GOAWAY with the last stream id that was or will be processed (default), and no new streams. */
  goAway(code: number, lastStreamId?: number): void;
  /** Server: GOAWAY(2^31-1) and a PING; when it is answered, GOAWAY with the real last id. Client: opens nothing more. */
  beginDrain(): void;
  readonly isDraining: boolean;
  readonly isDrained: boolean;
  /** GOAWAY for an error was written, or the transport is gone. */
  readonly isDead: boolean;
  readonly openStreamCount: number;
  readonly peerMaxConcurrentStreams: number;
  /** The peer takes extended CONNECT. */
  readonly peerEnablesConnectProtocol: boolean;
  readonly stats: H2Stats;
  /** True until our SETTINGS were acknowledged; the owner runs the timer. */
  readonly awaitsSettingsAck: boolean;
  /** How long the longest waiting stream has had octets queued without window; -1 if none. First seen at the first call. */
  oldestStallMs(nowMs: number): number;
  /** Resets (CANCEL, with onReset) streams stalled for at least `stallMs`; returns how many. */
  resetStalled(nowMs: number, stallMs: number): number;
}
