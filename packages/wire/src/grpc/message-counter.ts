/**
 * Counts the messages of a gRPC body that passes by, without copying or keeping any of it: only the place
 * within the current prefix or message is remembered. A message counts when its first octet is seen, as
 * Envoy counts them, so a stream that was cut off shows what had begun.
 */
import { GRPC_PREFIX_BYTES } from './message-framing.ts';

export class GrpcMessageCounter {
  /** Messages begun so far. */
  count = 0;
  #prefixBytes = 0;
  #length = 0;
  /** Octets of the current message that have not passed yet. */
  #remainingBytes = 0;

  reset(): void {
    this.count = 0;
    this.#prefixBytes = 0;
    this.#length = 0;
    this.#remainingBytes = 0;
  }

  /** True between messages: nothing of a prefix or message is outstanding. */
  get isAtBoundary(): boolean {
    return this.#prefixBytes === 0 && this.#remainingBytes === 0;
  }

  /** Looks at [start, end) of `buf`; returns how many messages began there. */
  scan(buf: Uint8Array, start: number, end: number): number {
    const before = this.count;
    let at = start;
    while (at < end) {
      if (this.#remainingBytes > 0) {
        const passed = Math.min(this.#remainingBytes, end - at);
        this.#remainingBytes -= passed;
        at += passed;
      } else if (this.#prefixBytes === 0 && end - at >= GRPC_PREFIX_BYTES) {
        this.count++;
        this.#remainingBytes =
          buf[at + 1]! * 0x100_0000 + ((buf[at + 2]! << 16) | (buf[at + 3]! << 8) | buf[at + 4]!);
        at += GRPC_PREFIX_BYTES;
      } else {
        this.#takePrefixOctet(buf[at]!);
        at++;
      }
    }
    return this.count - before;
  }

  #takePrefixOctet(octet: number): void {
    if (this.#prefixBytes === 0) {
      this.count++;
      this.#length = 0;
    } else this.#length = this.#length * 256 + octet;
    this.#prefixBytes++;
    if (this.#prefixBytes < GRPC_PREFIX_BYTES) return;
    this.#prefixBytes = 0;
    this.#remainingBytes = this.#length;
  }
}
