/**
 * What each received frame does (RFC 9113 §6), HEADERS and DATA apart: those are messages (message-reader.ts).
 */
import { H2ErrorCode } from './error-code.ts';
import type { FrameHandler } from './frame-reader.ts';
import { FrameFlag, FrameType, MIN_MAX_FRAME_BYTES, readUint31, readUint32 } from './frame.ts';
import { MessageReader } from './message-reader.ts';
import type { SessionCore } from './session-core.ts';
import { SETTING_BYTES } from './settings.ts';

const { PROTOCOL_ERROR, FRAME_SIZE_ERROR, FLOW_CONTROL_ERROR, ENHANCE_YOUR_CALM } = H2ErrorCode;

export class FrameDispatch implements FrameHandler {
  awaitsSettingsAck = false;
  /** Called with the eight octets of a PING's answer. */
  onPingAck: (buf: Uint8Array, start: number) => void = () => undefined;
  readonly #core: SessionCore;
  readonly #messages: MessageReader;
  readonly #maxFrameBytes: number;
  #hasFirstFrame = false;

  constructor(core: SessionCore) {
    this.#core = core;
    this.#messages = new MessageReader(core);
    this.#maxFrameBytes = Math.max(core.options.localSettings.maxFrameBytes, MIN_MAX_FRAME_BYTES);
  }

  get isDead(): boolean {
    return this.#core.isDead;
  }

  /** A header block is under way: CONTINUATION must follow. */
  get isBlockOpen(): boolean {
    return this.#messages.pendingBlockId !== 0;
  }

  onPrefaceInvalid(): void {
    this.#core.fail(PROTOCOL_ERROR, 'the client preface is invalid');
  }

  onPaddingInvalid(): void {
    this.#core.fail(PROTOCOL_ERROR, 'padding is longer than its frame');
  }

  onDataOctets(buf: Uint8Array, start: number, end: number): void {
    this.#messages.dataOctets(buf, start, end);
  }

  onDataEnd(): void {
    this.#messages.dataEnd();
  }

  onFrameHeader(type: number, flags: number, streamId: number, length: number): boolean {
    const core = this.#core;
    core.stats.framesReceived++;
    if (length > this.#maxFrameBytes) return this.#refuse(FRAME_SIZE_ERROR, 'frame larger than allowed');
    if (!this.#hasFirstFrame) {
      if (type !== FrameType.SETTINGS || (flags & FrameFlag.ACK) !== 0)
        return this.#refuse(PROTOCOL_ERROR, 'the first frame is not SETTINGS');
      this.#hasFirstFrame = true;
    }
    const pending = this.#messages.pendingBlockId;
    if (
      pending !== 0
        ? type !== FrameType.CONTINUATION || streamId !== pending
        : type === FrameType.CONTINUATION
    )
      return this.#refuse(PROTOCOL_ERROR, 'CONTINUATION is missing or out of place');
    if (type === FrameType.DATA) {
      if (streamId === 0) return this.#refuse(PROTOCOL_ERROR, 'DATA on stream 0');
      this.#messages.beginData(streamId, flags, length);
      return !core.isDead;
    }
    return this.#checkForm(type, flags, streamId, length);
  }

  onFrame(type: number, flags: number, streamId: number, buf: Uint8Array, start: number, end: number): void {
    switch (type) {
      case FrameType.HEADERS:
        this.#messages.headers(streamId, flags, buf, start, end);
        break;
      case FrameType.CONTINUATION:
        this.#messages.continuation(flags, buf, start, end);
        break;
      case FrameType.PRIORITY:
        this.#priority(streamId, buf, start, end);
        break;
      case FrameType.RST_STREAM:
        this.#reset(streamId, readUint32(buf, start));
        break;
      case FrameType.SETTINGS:
        this.#settings(flags, buf, start, end);
        break;
      case FrameType.PING:
        this.#ping(flags, buf, start);
        break;
      case FrameType.GOAWAY:
        this.#goAway(readUint31(buf, start), readUint32(buf, start + 4));
        break;
      case FrameType.WINDOW_UPDATE:
        this.#windowUpdate(streamId, readUint31(buf, start));
        break;
      default:
        // §5.5: unknown types are ignored, and so is what they hold.
        this.#countIgnored();
    }
    this.#core.checkFlood();
  }

  /** What a frame's header shows, by type. */
  #checkForm(type: number, flags: number, streamId: number, length: number): boolean {
    switch (type) {
      case FrameType.HEADERS:
      case FrameType.PRIORITY:
        return streamId !== 0 || this.#refuse(PROTOCOL_ERROR, 'frame on stream 0');
      case FrameType.RST_STREAM:
        if (streamId === 0) return this.#refuse(PROTOCOL_ERROR, 'RST_STREAM on stream 0');
        return length === 4 || this.#refuse(FRAME_SIZE_ERROR, 'RST_STREAM of a wrong size');
      case FrameType.SETTINGS: {
        if (streamId !== 0) return this.#refuse(PROTOCOL_ERROR, 'SETTINGS on a stream');
        const isSized = (flags & FrameFlag.ACK) !== 0 ? length === 0 : length % SETTING_BYTES === 0;
        return isSized || this.#refuse(FRAME_SIZE_ERROR, 'SETTINGS of a wrong size');
      }
      case FrameType.PUSH_PROMISE:
        return this.#refuse(PROTOCOL_ERROR, 'PUSH_PROMISE is not accepted');
      case FrameType.PING:
        if (streamId !== 0) return this.#refuse(PROTOCOL_ERROR, 'PING on a stream');
        return length === 8 || this.#refuse(FRAME_SIZE_ERROR, 'PING of a wrong size');
      case FrameType.GOAWAY:
        if (streamId !== 0) return this.#refuse(PROTOCOL_ERROR, 'GOAWAY on a stream');
        return length >= 8 || this.#refuse(FRAME_SIZE_ERROR, 'GOAWAY of a wrong size');
      case FrameType.WINDOW_UPDATE:
        return length === 4 || this.#refuse(FRAME_SIZE_ERROR, 'WINDOW_UPDATE of a wrong size');
      default:
        return true;
    }
  }

  #settings(flags: number, buf: Uint8Array, start: number, end: number): void {
    const core = this.#core;
    if (core.guard.settings(core.nowMs)) return core.fail(ENHANCE_YOUR_CALM, 'too many SETTINGS');
    if ((flags & FrameFlag.ACK) !== 0) return this.#settingsAcknowledged();
    if (!this.applySettings(buf, start, end)) return;
    core.hasPeerSettings = true;
    core.frames.settingsAck();
    core.sender.pump();
    core.sink.onSettings();
  }

  /** The peer's settings take effect; false if they ended the session. */
  applySettings(buf: Uint8Array, start: number, end: number): boolean {
    const core = this.#core;
    const { peer } = core;
    const initialBefore = peer.initialWindowBytes;
    const failure = peer.read(!core.isServer, buf, start, end);
    if (failure !== null) return this.#refuse(failure, 'a setting is out of bounds');
    // Both the smallest and the last size are obeyed (RFC 7541 §4.2).
    core.heads.encoder.setPeerLimit(peer.smallestTableSize);
    core.heads.encoder.setPeerLimit(peer.headerTableSize);
    const change = peer.initialWindowBytes - initialBefore;
    if (change !== 0) {
      for (const stream of core.table.open.values()) {
        if (!core.sender.widenStream(stream, change))
          return this.#refuse(FLOW_CONTROL_ERROR, 'a window exceeds its bound');
      }
    }
    return true;
  }

  #settingsAcknowledged(): void {
    const core = this.#core;
    if (!this.awaitsSettingsAck) return;
    this.awaitsSettingsAck = false;
    this.#messages.setTableLimit(core.options.localSettings.headerTableSize);
    const change = core.windows.settle();
    if (change !== 0) for (const stream of core.table.open.values()) stream.receiveWindow += change;
  }

  #ping(flags: number, buf: Uint8Array, start: number): void {
    const core = this.#core;
    if (core.guard.ping(core.nowMs)) return core.fail(ENHANCE_YOUR_CALM, 'too many PINGs');
    if ((flags & FrameFlag.ACK) !== 0) this.onPingAck(buf, start);
    else core.frames.ping(buf, start, true);
  }

  #goAway(lastStreamId: number, code: number): void {
    const core = this.#core;
    if (lastStreamId > this.#lastGoAwayId) return core.fail(PROTOCOL_ERROR, 'GOAWAY raises its last stream');
    this.#lastGoAwayId = lastStreamId;
    core.isDraining = true;
    if (!core.isServer) core.endAbove(lastStreamId);
    core.sink.onGoAway(lastStreamId, code);
    core.checkDrained();
  }
  #lastGoAwayId = 0x7fff_ffff;

  #windowUpdate(streamId: number, increment: number): void {
    const core = this.#core;
    if (core.guard.windowUpdate()) return core.fail(ENHANCE_YOUR_CALM, 'too many WINDOW_UPDATEs');
    if (streamId === 0) {
      if (increment === 0) return core.fail(PROTOCOL_ERROR, 'WINDOW_UPDATE of zero');
      if (!core.sender.widen(increment))
        return core.fail(FLOW_CONTROL_ERROR, 'the connection window exceeds its bound');
    } else {
      const stream = core.table.open.get(streamId);
      if (stream === undefined) {
        if (this.#messages.isIdle(streamId))
          return core.fail(PROTOCOL_ERROR, 'WINDOW_UPDATE on an idle stream');
        return this.#countIgnored();
      }
      if (increment === 0) return core.streamError(streamId, stream, PROTOCOL_ERROR);
      if (!core.sender.widenStream(stream, increment))
        return core.streamError(streamId, stream, FLOW_CONTROL_ERROR);
    }
    core.sender.pump();
  }

  #reset(streamId: number, code: number): void {
    const core = this.#core;
    core.stats.resetsReceived++;
    const stream = core.table.open.get(streamId);
    if (stream === undefined) {
      if (this.#messages.isIdle(streamId)) return core.fail(PROTOCOL_ERROR, 'RST_STREAM on an idle stream');
      return this.#countIgnored();
    }
    const { options, guard, nowMs } = core;
    const isEarly =
      core.isServer && !stream.isLocalEnded && nowMs - stream.openedAtMs < options.limits.prematureResetAgeMs;
    core.close(stream, 'reset-by-peer');
    core.tellReset(stream, code, true, code === H2ErrorCode.REFUSED_STREAM);
    if (isEarly && guard.earlyReset()) core.fail(ENHANCE_YOUR_CALM, 'too many streams reset early');
  }

  /** RFC 9113 §5.3.2: without effect; its form is still checked (§6.3, RFC 7540 §5.3.1). */
  #priority(streamId: number, buf: Uint8Array, start: number, end: number): void {
    const core = this.#core;
    if (core.guard.priority()) return core.fail(ENHANCE_YOUR_CALM, 'too many PRIORITY frames');
    const isSized = end - start === 5;
    if (isSized && readUint31(buf, start) !== streamId) return;
    const code = isSized ? PROTOCOL_ERROR : FRAME_SIZE_ERROR;
    const stream = core.table.open.get(streamId);
    if (stream !== undefined) core.streamError(streamId, stream, code);
    else core.fail(code, 'PRIORITY is malformed');
  }

  #countIgnored(): void {
    const core = this.#core;
    if (core.guard.ignored(core.nowMs)) core.fail(ENHANCE_YOUR_CALM, 'too many frames without effect');
  }

  #refuse(code: H2ErrorCode, detail: string): false {
    this.#core.fail(code, detail);
    return false;
  }
}
