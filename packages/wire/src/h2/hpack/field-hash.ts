/**
 * Hashes of names and values for the encoder's tables: quick, and good enough, since what is found is
 * compared. Of long values only both ends and the middle count; a collision costs octets, never sense.
 */

const WHOLE_OCTETS = 24;
const SAMPLE_OCTETS = 8;
const MULTIPLIER = 0x01000193;

export function hashOctets(buf: Uint8Array, start: number, end: number, seed: number): number {
  const length = end - start;
  let hash = Math.imul(seed ^ (length << 16), MULTIPLIER);
  if (length <= WHOLE_OCTETS) {
    for (let at = start; at < end; at++) hash = Math.imul(hash ^ buf[at]!, MULTIPLIER);
  } else {
    const middle = start + (length >>> 1) - (SAMPLE_OCTETS >>> 1);
    for (let i = 0; i < SAMPLE_OCTETS; i++) {
      hash = Math.imul(hash ^ buf[start + i]!, MULTIPLIER);
      hash = Math.imul(hash ^ buf[middle + i]!, MULTIPLIER);
      hash = Math.imul(hash ^ buf[end - 1 - i]!, MULTIPLIER);
    }
  }
  return hash ^ (hash >>> 15);
}

/** The same of a byte string. */
export function hashText(text: string, seed: number): number {
  const { length } = text;
  let hash = Math.imul(seed ^ (length << 16), MULTIPLIER);
  if (length <= WHOLE_OCTETS) {
    for (let at = 0; at < length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), MULTIPLIER);
  } else {
    const middle = (length >>> 1) - (SAMPLE_OCTETS >>> 1);
    for (let i = 0; i < SAMPLE_OCTETS; i++) {
      hash = Math.imul(hash ^ text.charCodeAt(i), MULTIPLIER);
      hash = Math.imul(hash ^ text.charCodeAt(middle + i), MULTIPLIER);
      hash = Math.imul(hash ^ text.charCodeAt(length - 1 - i), MULTIPLIER);
    }
  }
  return hash ^ (hash >>> 15);
}
