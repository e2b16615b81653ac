/**
 * Ids of requests, traces and spans, from the injected randomness (design §6: no hidden clock or dice).
 *
 * No Promise, no system call per id: `systemRandom` draws its bytes in batches.
 */
import { randomHex, randomUuid, type Random } from '@sluice/runtime';

export interface IdSource {
  /** UUID version 4, `xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx`. */
  requestId(): string;
  /** 32 lower-case hexadecimal digits, never all zero (W3C trace-id). */
  traceId(): string;
  /** 16 lower-case hexadecimal digits, never all zero (W3C parent-id). */
  spanId(): string;
}

export function createIdSource(random: Random): IdSource {
  return {
    requestId: () => randomUuid(random),
    traceId: () => nonZero(randomHex(random, 16)),
    spanId: () => nonZero(randomHex(random, 8)),
  };
}

/** An all-zero id is invalid in W3C trace context; the draw of one becomes 1. */
function nonZero(id: string): string {
  return /[^0]/.test(id) ? id : `${id.slice(1)}1`;
}
