/**
 * Cuts octets into frames, wherever they are split.
 *
 * DATA goes to the handler as it comes; every other frame comes whole: where it stands if one piece holds
 * it, else gathered into memory of its own, which nobody rewrites, so that HPACK may refer to either.
 * The handler judges a frame by its header, before memory is spent on it, and may stop the reader.
 */
import { CLIENT_PREFACE, FRAME_HEADER_BYTES, FrameFlag, FrameType, readUint31 } from './frame.ts';
import { EMPTY_BYTES, copyOctets } from '../headers/bytes.ts';

export interface FrameHandler {
  /** False stops the reader for good. */
  onFrameHeader(type: number, flags: number, streamId: number, length: number): boolean;
  /** A whole frame of any type but DATA. */
  onFrame(type: number, flags: number, streamId: number, buf: Uint8Array, start: number, end: number): void;
  /** A part of the content of the DATA frame announced last; padding is left out. */
  onDataOctets(buf: Uint8Array, start: number, end: number): void;
  /** That frame has ended. */
  onDataEnd(): void;
  /** The padding of a DATA frame is longer than the frame (§6.1). */
  onPaddingInvalid(): void;
  /** The client's preface is none (§3.4). */
  onPrefaceInvalid(): void;
  /** Events are no longer wanted. */
  readonly isDead: boolean;
}

const NO_FRAME = -1;

export class FrameReader {
  readonly #handler: FrameHandler;
  #prefaceLeft: number;
  readonly #header = new Uint8Array(FRAME_HEADER_BYTES);
  #headerLength = 0;
  #type = NO_FRAME;
  #flags = 0;
  #streamId = 0;
  /** Octets of the payload that are still to come. */
  #left = 0;
  #payload: Uint8Array = EMPTY_BYTES;
  /** Of a DATA frame: its pad length is still to come; octets of padding at its end. */
  #awaitsPadLength = false;
  #padding = 0;

  constructor(handler: FrameHandler, expectsPreface: boolean) {
    this.#handler = handler;
    this.#prefaceLeft = expectsPreface ? CLIENT_PREFACE.length : 0;
  }

  /** Octets of the preface or of a header block have come, and more of them must. */
  get isInsideHead(): boolean {
    const type = this.#type;
    return this.#prefaceLeft > 0 || type === FrameType.HEADERS || type === FrameType.CONTINUATION;
  }

  /** `data` is never rewritten by its giver. */
  receive(data: Uint8Array, start: number, end: number): void {
    let at = start;
    if (this.#prefaceLeft > 0) {
      at = this.#readPreface(data, at, end);
      if (at < 0) return;
    }
    while (at < end && !this.#handler.isDead) {
      if (this.#type === NO_FRAME) {
        at = this.#readHeader(data, at, end);
        if (at < 0) return;
        // A frame without payload is complete with its header.
        if (this.#type !== NO_FRAME && this.#left === 0) at = this.#readPayload(data, at, at);
      } else {
        at = this.#readPayload(data, at, end);
      }
    }
  }

  #readPreface(data: Uint8Array, start: number, end: number): number {
    let at = start;
    while (at < end && this.#prefaceLeft > 0) {
      if (data[at] !== CLIENT_PREFACE.charCodeAt(CLIENT_PREFACE.length - this.#prefaceLeft)) {
        this.#handler.onPrefaceInvalid();
        return -1;
      }
      this.#prefaceLeft--;
      at++;
    }
    return at;
  }

  #readHeader(data: Uint8Array, start: number, end: number): number {
    let header = data;
    let from = start;
    let at = start + FRAME_HEADER_BYTES;
    if (this.#headerLength > 0 || at > end) {
      header = this.#header;
      from = 0;
      at = Math.min(end, start + FRAME_HEADER_BYTES - this.#headerLength);
      this.#headerLength = copyOctets(data, start, at, header, this.#headerLength);
      if (this.#headerLength < FRAME_HEADER_BYTES) return at;
      this.#headerLength = 0;
    }
    const length = (header[from]! << 16) | (header[from + 1]! << 8) | header[from + 2]!;
    this.#type = header[from + 3]!;
    this.#flags = header[from + 4]!;
    this.#streamId = readUint31(header, from + 5);
    this.#left = length;
    if (!this.#handler.onFrameHeader(this.#type, this.#flags, this.#streamId, length)) return -1;
    if (this.#type === FrameType.DATA) {
      this.#awaitsPadLength = (this.#flags & FrameFlag.PADDED) !== 0;
      this.#padding = 0;
    }
    return at;
  }

  #readPayload(data: Uint8Array, start: number, end: number): number {
    if (this.#type === FrameType.DATA) return this.#readData(data, start, end);
    const available = end - start;
    if (this.#payload.length === 0 && available >= this.#left) {
      const to = start + this.#left;
      this.#endFrame(data, start, to);
      return to;
    }
    if (this.#payload.length === 0) this.#payload = new Uint8Array(this.#left);
    const payload = this.#payload;
    const to = start + Math.min(available, this.#left);
    copyOctets(data, start, to, payload, payload.length - this.#left);
    this.#left -= to - start;
    if (this.#left === 0) {
      this.#payload = EMPTY_BYTES;
      this.#endFrame(payload, 0, payload.length);
    }
    return to;
  }

  #endFrame(buf: Uint8Array, start: number, end: number): void {
    const type = this.#type;
    this.#type = NO_FRAME;
    this.#handler.onFrame(type, this.#flags, this.#streamId, buf, start, end);
  }

  #readData(data: Uint8Array, start: number, end: number): number {
    let at = start;
    if (this.#awaitsPadLength && this.#left > 0) {
      if (at === end) return at;
      this.#padding = data[at++]!;
      this.#left--;
      this.#awaitsPadLength = false;
      if (this.#padding > this.#left) {
        this.#handler.onPaddingInvalid();
        return end;
      }
    } else if (this.#awaitsPadLength) {
      this.#handler.onPaddingInvalid();
      return end;
    }
    const content = Math.min(end - at, this.#left - this.#padding);
    if (content > 0) {
      this.#left -= content;
      this.#handler.onDataOctets(data, at, at + content);
      at += content;
    }
    const padding = Math.min(end - at, this.#left);
    if (this.#left === this.#padding && padding > 0) {
      this.#left -= padding;
      this.#padding -= padding;
      at += padding;
    }
    if (this.#left === 0) {
      this.#type = NO_FRAME;
      if (!this.#handler.isDead) this.#handler.onDataEnd();
    }
    return at;
  }
}
