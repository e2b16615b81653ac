/**
 * Writes frames into the output, and notices a peer that makes us write without reading.
 *
 * What is written while the output is full would pile up there: its frames are counted from the moment that
 * it is full until it drains, and too many of them are a flood (CVE-2019-9512 and its kin).
 */
import { FRAME_HEADER_BYTES, FrameFlag, FrameType, writeFrameHeader, writeUint32 } from './frame.ts';
import type { H2Limits } from './limits.ts';
import type { H2Output, H2Stats } from './session-types.ts';

export class FrameWriter {
  readonly output: H2Output;
  /** More waits than the limits allow. */
  isFlooded = false;
  readonly #limits: H2Limits;
  readonly #stats: H2Stats;
  #waitingFrames = 0;
  #waitingControlFrames = 0;

  constructor(output: H2Output, limits: H2Limits, stats: H2Stats) {
    this.output = output;
    this.#limits = limits;
    this.#stats = stats;
  }

  /** The output takes octets again. */
  drained(): void {
    this.#waitingFrames = 0;
    this.#waitingControlFrames = 0;
  }

  /** A frame was written. Those that only answer the peer are `isControl`. */
  count(isControl: boolean): void {
    this.#stats.framesSent++;
    if (this.output.isWritable || this.isFlooded) return;
    if (isControl && ++this.#waitingControlFrames > this.#limits.maxOutboundControlFrames) {
      this.#stats.outboundControlFlood++;
      this.isFlooded = true;
    } else if (++this.#waitingFrames > this.#limits.maxOutboundFrames) {
      this.#stats.outboundFlood++;
      this.isFlooded = true;
    }
  }

  /** The header of a DATA frame and its octets, in one piece with what stands before. */
  data(streamId: number, buf: Uint8Array, start: number, end: number, isEnd: boolean): void {
    const { output } = this;
    const out = output.reserve(FRAME_HEADER_BYTES);
    const flags = isEnd ? FrameFlag.END_STREAM : FrameFlag.NONE;
    output.commit(writeFrameHeader(out, output.writeOffset, end - start, FrameType.DATA, flags, streamId));
    if (end > start) output.write(buf, start, end);
    this.#stats.dataFramesSent++;
    this.#stats.dataBytesSent += end - start;
    this.count(false);
  }

  resetStream(streamId: number, code: number): void {
    this.#stats.resetsSent++;
    this.#word(FrameType.RST_STREAM, streamId, code);
  }

  windowUpdate(streamId: number, increment: number): void {
    this.#word(FrameType.WINDOW_UPDATE, streamId, increment);
  }

  settingsAck(): void {
    const { output } = this;
    const out = output.reserve(FRAME_HEADER_BYTES);
    output.commit(writeFrameHeader(out, output.writeOffset, 0, FrameType.SETTINGS, FrameFlag.ACK, 0));
    this.count(true);
  }

  /** `payload`: eight octets, of which the first two are zero in our own pings. */
  ping(buf: Uint8Array, start: number, isAck: boolean): void {
    const { output } = this;
    const out = output.reserve(FRAME_HEADER_BYTES + 8);
    const flags = isAck ? FrameFlag.ACK : FrameFlag.NONE;
    let at = writeFrameHeader(out, output.writeOffset, 8, FrameType.PING, flags, 0);
    for (let i = 0; i < 8; i++) out[at++] = buf[start + i]!;
    output.commit(at);
    this.count(true);
  }

  goAway(lastStreamId: number, code: number): void {
    const { output } = this;
    const out = output.reserve(FRAME_HEADER_BYTES + 8);
    let at = writeFrameHeader(out, output.writeOffset, 8, FrameType.GOAWAY, FrameFlag.NONE, 0);
    at = writeUint32(out, at, lastStreamId);
    output.commit(writeUint32(out, at, code));
    this.count(true);
  }

  /** One header block at `block[start..end)`, as HEADERS and as many CONTINUATION frames as it takes (§6.10). */
  headers(streamId: number, block: Uint8Array, length: number, maxFrameBytes: number, isEnd: boolean): void {
    const { output } = this;
    let type: number = FrameType.HEADERS;
    let at = 0;
    do {
      const to = Math.min(length, at + maxFrameBytes);
      const flags =
        (to === length ? FrameFlag.END_HEADERS : FrameFlag.NONE) |
        (isEnd && at === 0 ? FrameFlag.END_STREAM : FrameFlag.NONE);
      const out = output.reserve(FRAME_HEADER_BYTES);
      output.commit(writeFrameHeader(out, output.writeOffset, to - at, type, flags, streamId));
      output.write(block, at, to);
      this.count(false);
      type = FrameType.CONTINUATION;
      at = to;
    } while (at < length);
  }

  #word(type: number, streamId: number, value: number): void {
    const { output } = this;
    const out = output.reserve(FRAME_HEADER_BYTES + 4);
    const at = writeFrameHeader(out, output.writeOffset, 4, type, FrameFlag.NONE, streamId);
    output.commit(writeUint32(out, at, value));
    this.count(true);
  }
}
