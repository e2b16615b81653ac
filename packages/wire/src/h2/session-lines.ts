/** For tests: what a server session says to the same octets, whole and in pieces. */
import { join } from './frame-builder.ts';
import { SessionUnderTest, type SessionTestOptions } from './transcript.ts';

/** Lines of a server session after the handshake, whole and in pieces. */
export function serve(frames: readonly Uint8Array[], options: SessionTestOptions = {}): string[] {
  const octets = join(...frames);
  const whole = new SessionUnderTest(options).greet().receive(octets).lines;
  for (const piece of [1, 2, 7]) {
    const { lines } = new SessionUnderTest(options).greet().receive(octets, piece);
    if (lines.join('\n') !== whole.join('\n'))
      throw new Error(`in pieces of ${piece}:\n${lines.join('\n')}\n-- whole:\n${whole.join('\n')}`);
  }
  return whole;
}

/** The session fails before it has streams. */
export const dies = (code: string, detail: string, last = 0): string[] => [
  `failure ${code}: ${detail}`,
  `< GOAWAY ${last} ${code}`,
];
/** A stream error of a request that its owner never saw. */
export const refused = (id: number, code = 'PROTOCOL_ERROR'): string[] => [`< RST_STREAM ${id} ${code}`];
