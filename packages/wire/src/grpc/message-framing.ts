/**
 * gRPC's length-prefixed messages (gRPC over HTTP/2, "Length-Prefixed-Message"): a flag octet, four octets
 * of length, the message. The decoder is incremental and hands on each message as one Uint8Array, a view
 * of the received chunk where the message lies in one.
 */
import type { WireErrorCode } from '../errors.ts';

export const GRPC_PREFIX_BYTES = 5;
/** The default receive limit of the gRPC libraries. */
export const DEFAULT_MAX_GRPC_MESSAGE_BYTES = 4 * 1024 * 1024;

/** Writes the prefix of an uncompressed message; returns the offset after it, -1 if it does not fit. */
export function writeGrpcPrefix(out: Uint8Array, at: number, messageLength: number): number {
  if (at + GRPC_PREFIX_BYTES > out.length || messageLength > 0xffff_ffff) return -1;
  out[at] = 0;
  out[at + 1] = messageLength >>> 24;
  out[at + 2] = (messageLength >>> 16) & 0xff;
  out[at + 3] = (messageLength >>> 8) & 0xff;
  out[at + 4] = messageLength & 0xff;
  return at + GRPC_PREFIX_BYTES;
}

/** A message with its prefix, in one buffer. */
export function frameGrpcMessage(message: Uint8Array): Uint8Array {
  const framed = new Uint8Array(GRPC_PREFIX_BYTES + message.length);
  framed.set(message, writeGrpcPrefix(framed, 0, message.length));
  return framed;
}

export interface GrpcMessageSink {
  /** The octets may be kept as long as the chunk that was passed to `execute` is not rewritten. */
  onMessage(message: Uint8Array): void;
  /** Nothing is decoded after this. */
  onFramingError(code: WireErrorCode): void;
}

export class GrpcMessageDecoder {
  #prefixBytes = 0;
  #length = 0;
  #message: Uint8Array | undefined = undefined;
  #received = 0;
  #hasFailed = false;
  readonly #sink: GrpcMessageSink;
  readonly #maxMessageBytes: number;

  constructor(sink: GrpcMessageSink, maxMessageBytes: number = DEFAULT_MAX_GRPC_MESSAGE_BYTES) {
    this.#sink = sink;
    this.#maxMessageBytes = maxMessageBytes;
  }

  /** Decodes [start, end) of `buf`. */
  execute(buf: Uint8Array, start: number, end: number): void {
    let at = start;
    while (at < end && !this.#hasFailed) {
      at =
        this.#prefixBytes < GRPC_PREFIX_BYTES ? this.#readPrefix(buf, at) : this.#readMessage(buf, at, end);
    }
  }

  /** The stream ended; a message that was cut off is an error. */
  finish(): void {
    if (!this.#hasFailed && this.#prefixBytes > 0) this.#fail('grpc-framing-invalid');
  }

  #readPrefix(buf: Uint8Array, at: number): number {
    const octet = buf[at]!;
    if (this.#prefixBytes++ === 0) {
      // Identity is the only coding ever announced, so a set flag is a mistake as well as an unknown one.
      if (octet !== 0) this.#fail(octet === 1 ? 'grpc-compression-unsupported' : 'grpc-framing-invalid');
      this.#length = 0;
      return at + 1;
    }
    this.#length = this.#length * 256 + octet;
    if (this.#prefixBytes < GRPC_PREFIX_BYTES) return at + 1;
    if (this.#length > this.#maxMessageBytes) this.#fail('grpc-message-too-large');
    else if (this.#length === 0) this.#deliver(buf.subarray(at, at));
    return at + 1;
  }

  #readMessage(buf: Uint8Array, at: number, end: number): number {
    const missing = this.#length - this.#received;
    const taken = Math.min(missing, end - at);
    if (this.#received === 0 && taken === missing) {
      this.#deliver(buf.subarray(at, at + taken));
      return at + taken;
    }
    const message = this.#reserve(taken);
    message.set(buf.subarray(at, at + taken), this.#received);
    this.#received += taken;
    if (this.#received === this.#length) this.#deliver(message.subarray(0, this.#length));
    return at + taken;
  }

  /** Grows with what has come, not with what was announced: a prefix alone must not cost megabytes. */
  #reserve(taken: number): Uint8Array {
    const needed = this.#received + taken;
    if (this.#message !== undefined && needed <= this.#message.length) return this.#message;
    const grown = new Uint8Array(
      Math.min(this.#length, Math.max(needed, 2 * (this.#message?.length ?? 2048))),
    );
    if (this.#message !== undefined) grown.set(this.#message.subarray(0, this.#received));
    this.#message = grown;
    return grown;
  }

  #deliver(message: Uint8Array): void {
    this.#prefixBytes = 0;
    this.#received = 0;
    this.#message = undefined;
    this.#sink.onMessage(message);
  }

  #fail(code: WireErrorCode): void {
    this.#hasFailed = true;
    this.#message = undefined;
    this.#sink.onFramingError(code);
  }
}
