/** For tests: what a server session says to the same octets, whole and in pieces. */
import { expect } from 'bun:test';
import { join } from './frame-builder.ts';
import { SessionUnderTest, type SessionTestOptions } from './transcript.ts';

/** Lines of a server session after the handshake, whole and in pieces. */
export function serve(frames: readonly Uint8Array[], options: SessionTestOptions = {}): string[] {
  const octets = join(...frames);
  const whole = new SessionUnderTest(options).greet().receive(octets).lines;
  for (const piece of [1, 2, 7])
    expect(new SessionUnderTest(options).greet().receive(octets, piece).lines).toEqual(whole);
  return whole;
}

/** The session fails before it has streams. */
export const dies = (code: string, detail: string, last = 0): string[] => [
  `failure ${code}: ${detail}`,
  `< GOAWAY ${last} ${code}`,
];
/** A stream error of a request that its owner never saw. */
export const refused = (id: number, code = 'PROTOCOL_ERROR'): string[] => [`< RST_STREAM ${id} ${code}`];
