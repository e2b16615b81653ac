/**
 * Randomness as a dependency: a seeded generator for tests and reproducible runs, the machine's generator
 * in production. Ids come from the same source, so a seeded run repeats its ids too.
 *
 * The seeded generator is xoshiro128** (Blackman, Vigna): four 32-bit words, good enough for balancing and
 * jitter, not for secrets. The system generator reads crypto.getRandomValues in blocks, because one call
 * per number costs more than the number.
 */

export interface Random {
  /** Uniform in [0, 1), 53 bits. */
  next(): number;
  /** Uniform integer in [0, bound); bound is an integer from 1 to 2^53. */
  int(bound: number): number;
  /** Fills the whole of `target`. */
  bytes(target: Uint8Array): void;
}

/** A reproducible generator: equal seeds give equal sequences on every machine. */
export function createRandom(seed: number | string): Random {
  return fromWords(xoshiro128(typeof seed === 'number' ? seed : hashSeed(seed)));
}

/** Cryptographically strong; safe for ids that must not be guessed. */
export const systemRandom: Random = fromWords(pooledSystemWords());

/** Digits as octets: an id put together from strings would cost one string per byte, for every request. */
const hexDigits = Uint8Array.from('0123456789abcdef', (digit) => digit.charCodeAt(0));
const HYPHEN = 0x2d;
/** Reused between calls; ids are at most this long. Invariant: filled and read within one call. */
const text = Buffer.allocUnsafeSlow(128) as Buffer & { latin1Slice(start: number, end: number): string };
const scratch = new Uint8Array(64);
const scratchViews: readonly Uint8Array[] = Array.from({ length: 65 }, (_, n) => scratch.subarray(0, n));

/** Lower-case hexadecimal text of `byteCount` (1 to 64) random bytes: trace ids, span ids, tokens. */
export function randomHex(random: Random, byteCount: number): string {
  const view = scratchViews[byteCount];
  if (view === undefined || byteCount < 1)
    throw new RangeError(`randomHex makes 1 to 64 bytes, not ${byteCount}`);
  random.bytes(view);
  return text.latin1Slice(0, writeHex(0, byteCount, 0));
}

/** UUID version 4 (RFC 9562 §5.4), the form of request ids. */
export function randomUuid(random: Random): string {
  random.bytes(scratchViews[16]!);
  scratch[6] = (scratch[6]! & 0x0f) | 0x40;
  scratch[8] = (scratch[8]! & 0x3f) | 0x80;
  let at = writeHex(0, 4, 0);
  text[at] = HYPHEN;
  at = writeHex(4, 6, at + 1);
  text[at] = HYPHEN;
  at = writeHex(6, 8, at + 1);
  text[at] = HYPHEN;
  at = writeHex(8, 10, at + 1);
  text[at] = HYPHEN;
  return text.latin1Slice(0, writeHex(10, 16, at + 1));
}

/** Digits of the scratch bytes [from, to), from `at` on; returns the offset after them. */
function writeHex(from: number, to: number, at: number): number {
  for (let i = from; i < to; i++, at += 2) {
    const byte = scratch[i]!;
    text[at] = hexDigits[byte >> 4]!;
    text[at + 1] = hexDigits[byte & 0x0f]!;
  }
  return at;
}

function fromWords(nextWord: () => number): Random {
  const next = (): number => ((nextWord() >>> 5) * 2 ** 26 + (nextWord() >>> 6)) / 2 ** 53;
  return {
    next,
    int: (bound) => Math.floor(next() * bound),
    bytes(target) {
      for (let i = 0; i < target.length;) {
        let word = nextWord();
        for (const end = Math.min(i + 4, target.length); i < end; i++, word >>>= 8) target[i] = word;
      }
    },
  };
}

function xoshiro128(seed: number): () => number {
  let [a, b, c, d] = [splitMix(seed, 1), splitMix(seed, 2), splitMix(seed, 3), splitMix(seed, 4) | 1];
  return () => {
    const scaled = Math.imul(b, 5);
    const result = Math.imul((scaled << 7) | (scaled >>> 25), 9);
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = (d << 11) | (d >>> 21);
    return result >>> 0;
  };
}

/** Spreads a small seed over 32 bits, differently for each `lane`. Both halves of the seed count. */
function splitMix(seed: number, lane: number): number {
  let word = (seed | 0) ^ Math.imul(Math.floor(seed / 2 ** 32) | 0, 0x85ebca6b);
  word = (word + Math.imul(lane, 0x9e3779b9)) | 0;
  word = Math.imul(word ^ (word >>> 16), 0x21f0aaad);
  word = Math.imul(word ^ (word >>> 15), 0x735a2d97);
  return (word ^ (word >>> 15)) | 0;
}

/** FNV-1a, so that a test's title can be its seed. */
function hashSeed(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

function pooledSystemWords(): () => number {
  const pool = new Uint32Array(new ArrayBuffer(4096));
  let used = pool.length;
  return () => {
    if (used === pool.length) {
      crypto.getRandomValues(pool);
      used = 0;
    }
    const word = pool[used]!;
    pool[used++] = 0; // A later read of the pool must not reveal an id already given out.
    return word;
  };
}
