/**
 * An HTTP/2 session (RFC 9113), either role, as a state machine over octets.
 *
 * The parts: FrameReader cuts octets into frames, FrameDispatch obeys them, MessageReader makes messages of
 * them; SessionCore holds the streams, DataSender their turns, ReceiveWindows the peer's, FloodGuard the
 * bounds of what a peer may cost.
 */
import { H2ErrorCode } from './error-code.ts';
import { FrameDispatch } from './frame-dispatch.ts';
import { FrameReader } from './frame-reader.ts';
import { CLIENT_PREFACE, MAX_STREAM_ID } from './frame.ts';
import { SessionCore } from './session-core.ts';
import type { H2Output, H2SessionOptions, H2SessionSink, H2Stats } from './session-types.ts';
import { OWN_SETTINGS_BOUND_BYTES, SETTING_BYTES, writeSettings } from './settings.ts';
import { takeStream } from './stream-state.ts';
import type { H2Stream } from './stream-types.ts';
import { writeLatin1 } from '../headers/bytes.ts';

const PING_BYTES = 8;
/** Our own PING that asks whether a drain's first GOAWAY has arrived: no payload of the owner's has these octets. */
const DRAIN_PING = Uint8Array.of(0x64, 0x72, 0x61, 0x69, 0x6e, 0x69, 0x6e, 0x67);
const MAX_PING_PAYLOAD = 2 ** 48 - 1;

export class H2Session {
  readonly #core: SessionCore;
  readonly #dispatch: FrameDispatch;
  readonly #reader: FrameReader;
  readonly #pingOctets = new Uint8Array(PING_BYTES);

  constructor(options: H2SessionOptions, output: H2Output, sink: H2SessionSink, nowMs: number) {
    this.#core = new SessionCore(options, output, sink, nowMs);
    this.#dispatch = new FrameDispatch(this.#core);
    this.#dispatch.onPingAck = (buf, start) => this.#pong(buf, start);
    this.#reader = new FrameReader(this.#dispatch, options.role === 'server');
  }

  /** Client: preface and SETTINGS; server: SETTINGS. */
  start(): void {
    const { options, isServer, frames, windows } = this.#core;
    const { output } = frames;
    const out = output.reserve(CLIENT_PREFACE.length + OWN_SETTINGS_BOUND_BYTES);
    let at = output.writeOffset;
    if (!isServer) at = writeLatin1(out, at, CLIENT_PREFACE);
    output.commit(writeSettings(out, at, options.role, options.localSettings));
    frames.count(false);
    this.#dispatch.awaitsSettingsAck = true;
    windows.open();
  }

  /**
   * Server, after an h2c Upgrade and `start`: stream 1, half-closed (remote). `settingsPayload` is what
   * HTTP2-Settings held; the owner has the request. If the settings are invalid the session fails and the
   * stream is closed.
   */
  startUpgraded(settingsPayload: Uint8Array): H2Stream {
    const core = this.#core;
    const stream = takeStream(core);
    const isWhole = settingsPayload.length % SETTING_BYTES === 0;
    if (!isWhole) core.fail(H2ErrorCode.FRAME_SIZE_ERROR, 'HTTP2-Settings of a wrong size');
    if (!isWhole || !this.#dispatch.applySettings(settingsPayload, 0, settingsPayload.length)) {
      stream.isClosed = true;
      return stream;
    }
    core.admit(stream, 1);
    core.stats.streamsOpened++;
    core.guard.streamOpened();
    stream.hasHead = true;
    stream.isRemoteEnded = true;
    return stream;
  }

  /** Takes octets of the peer, which nobody rewrites. Events come from within; never throws on them. */
  receive(data: Uint8Array, start: number, end: number, nowMs: number): void {
    const core = this.#core;
    core.table.recycle();
    core.nowMs = nowMs;
    if (core.isDead) return;
    this.#reader.receive(data, start, end);
  }

  /** The transport is gone: every open stream gets onReset, as by the peer; nothing is written. */
  onTransportClosed(): void {
    const core = this.#core;
    if (core.isDead) return;
    core.isDead = true;
    core.endAll(H2ErrorCode.CANCEL, true);
  }

  /** `output.isWritable` is true again: queued DATA goes on, round robin. */
  onOutputDrain(): void {
    this.#core.frames.drained();
    if (!this.#core.isDead) this.#core.sender.pump();
  }

  /** Client: null at the peer's MAX_CONCURRENT_STREAMS, while draining, or when ids are used up. */
  open(user: unknown): H2Stream | null {
    return this.#core.isServer ? null : this.#core.open(user);
  }

  /** `payload`: an integer below 2^48, told back by onPong. */
  ping(payload: number): void {
    const core = this.#core;
    if (core.isDead) return;
    const octets = this.#pingOctets;
    let rest = Math.min(MAX_PING_PAYLOAD, payload);
    for (let i = PING_BYTES - 1; i >= 0; i--) {
      octets[i] = rest % 256;
      rest = Math.floor(rest / 256);
    }
    core.frames.ping(octets, 0, false);
  }

  /** GOAWAY: nothing above `lastStreamId` (default: the last that was opened) is or will be processed. */
  goAway(code: number, lastStreamId?: number): void {
    const core = this.#core;
    if (core.isDead) return;
    const last = lastStreamId ?? (core.isServer ? core.table.lastId : 0);
    core.isDraining = true;
    if (core.isServer) core.lastServedId = Math.min(core.lastServedId, last);
    core.frames.goAway(core.isServer ? core.lastServedId : last, code);
    core.checkDrained();
  }

  /**
   * Server: GOAWAY(2^31-1) and a PING; once that is answered no request is on its way that the client does
   * not know of, and GOAWAY with the real last id follows (§6.8). Client: opens nothing more.
   */
  beginDrain(): void {
    const core = this.#core;
    if (core.isDead || this.#isDrainBegun) return;
    this.#isDrainBegun = true;
    core.isDraining = true;
    if (core.isServer && core.lastServedId === MAX_STREAM_ID) {
      core.frames.goAway(MAX_STREAM_ID, H2ErrorCode.NO_ERROR);
      core.frames.ping(DRAIN_PING, 0, false);
    }
    core.checkDrained();
  }
  #isDrainBegun = false;

  get isDraining(): boolean {
    return this.#core.isDraining;
  }
  get isDrained(): boolean {
    return this.#core.isDrained;
  }
  /** GOAWAY for an error was written, or the transport is gone. */
  get isDead(): boolean {
    return this.#core.isDead;
  }
  get openStreamCount(): number {
    return this.#core.openStreamCount;
  }
  get peerMaxConcurrentStreams(): number {
    return this.#core.peerMaxConcurrentStreams;
  }
  /** The peer takes extended CONNECT (RFC 8441). */
  get peerEnablesConnectProtocol(): boolean {
    return this.#core.peer.enablesConnectProtocol;
  }
  get stats(): H2Stats {
    return this.#core.stats;
  }
  /** A head has begun to come and is not whole: nothing else can be read before it is. */
  get isInsideHead(): boolean {
    return this.#reader.isInsideHead || this.#dispatch.isBlockOpen;
  }
  /** True until our SETTINGS were acknowledged; the owner runs the timer. */
  get awaitsSettingsAck(): boolean {
    return this.#dispatch.awaitsSettingsAck;
  }

  /**
   * How long the longest waiting stream has had octets queued without window; -1 if none has. A stall is seen
   * first by a call of this, so the owner calls it from time to time.
   */
  oldestStallMs(nowMs: number): number {
    const { table, sender } = this.#core;
    let oldest = -1;
    for (const stream of table.open.values()) {
      if (!sender.isStalled(stream)) {
        stream.stalledSinceMs = -1;
        continue;
      }
      if (stream.stalledSinceMs < 0) stream.stalledSinceMs = nowMs;
      oldest = Math.max(oldest, nowMs - stream.stalledSinceMs);
    }
    return oldest;
  }

  /** Resets (CANCEL, with onReset) the streams stalled for at least `stallMs`; returns how many. */
  resetStalled(nowMs: number, stallMs: number): number {
    const core = this.#core;
    if (this.oldestStallMs(nowMs) < stallMs) return 0;
    let count = 0;
    for (const stream of core.table.open.values()) {
      if (stream.stalledSinceMs < 0 || nowMs - stream.stalledSinceMs < stallMs) continue;
      core.resetStream(stream, H2ErrorCode.CANCEL);
      core.sink.onReset(stream, H2ErrorCode.CANCEL, false, false);
      count++;
    }
    return count;
  }

  #pong(buf: Uint8Array, start: number): void {
    const core = this.#core;
    let isDrain = true;
    let payload = 0;
    for (let i = 0; i < PING_BYTES; i++) {
      isDrain &&= buf[start + i] === DRAIN_PING[i];
      if (i >= 2) payload = payload * 256 + buf[start + i]!;
    }
    if (!isDrain) core.sink.onPong(payload);
    else if (this.#isDrainBegun && core.lastServedId === MAX_STREAM_ID) this.goAway(H2ErrorCode.NO_ERROR);
  }
}
