/** gRPC framing: no octets make the decoder throw, exceed its limit, or report other events when they are split. */
import { GrpcMessageDecoder } from './message-framing.ts';

const MAX_MESSAGE_BYTES = 1000;

export default {
  name: 'grpc-message',
  seeds: (): Uint8Array[] => [
    Uint8Array.of(0, 0, 0, 0, 3, 1, 2, 3, 0, 0, 0, 0, 0),
    Uint8Array.of(1, 0, 0, 0, 1, 9),
    Uint8Array.of(0, 255, 255, 255, 255, 1),
  ],
  run(bytes: Uint8Array): void {
    const whole = decode(bytes, bytes.length);
    for (const size of [1, 3, 8]) {
      const split = decode(bytes, size);
      if (split !== whole) throw new Error(`split by ${size}: ${split}\n-- whole: ${whole}`);
    }
  },
};

function decode(bytes: Uint8Array, size: number): string {
  const lines: string[] = [];
  const decoder = new GrpcMessageDecoder(
    {
      onMessage: (message) => {
        if (message.length > MAX_MESSAGE_BYTES) throw new Error(`a message of ${message.length} octets`);
        lines.push(message.join(','));
      },
      onFramingError: (code) => lines.push(code),
    },
    MAX_MESSAGE_BYTES,
  );
  for (let at = 0; at < bytes.length; at += size) {
    const piece = bytes.slice(at, at + size);
    decoder.execute(piece, 0, piece.length);
  }
  decoder.finish();
  return lines.join('\n');
}
