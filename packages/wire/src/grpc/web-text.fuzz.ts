/** gRPC-Web's text: no octets decode differently when they are split; what is encoded decodes to itself. */
import { GrpcMessageCounter } from './message-counter.ts';
import { GrpcWebTextDecoder, GrpcWebTextEncoder } from './web-text.ts';

export default {
  name: 'grpc-web-text',
  seeds: (): Uint8Array[] => [
    Buffer.from('AAAAAAFhAAAAAAJiYg=='),
    Buffer.from('YQ==YmI=Y2Nj'),
    Buffer.from('AA=A'),
    Uint8Array.of(0, 0, 0, 0, 1, 97, 0x80, 0, 0, 0, 2, 13, 10),
  ],
  run(bytes: Uint8Array): void {
    const whole = decode(bytes, bytes.length);
    for (const size of [1, 3, 8]) {
      const split = decode(bytes, size);
      if (split !== whole) throw new Error(`split by ${size}: ${split}\n-- whole: ${whole}`);
      const text = encode(bytes, size);
      if (decode(text, size) !== `${Buffer.from(bytes).toString('hex')} true`)
        throw new Error(`encoded by ${size} it decodes to something else`);
    }
  },
};

function decode(bytes: Uint8Array, size: number): string {
  const decoder = new GrpcWebTextDecoder();
  const parts: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += size) {
    const piece = bytes.slice(at, at + size);
    const octets = decoder.decode(piece, 0, piece.length);
    // How much came before a failure depends on the pieces; that it fails does not.
    if (octets === null) return 'refused';
    parts.push(octets);
  }
  return `${Buffer.concat(parts).toString('hex')} ${decoder.isComplete}`;
}

/** As the proxy does it: padded where a message ends. */
function encode(bytes: Uint8Array, size: number): Uint8Array {
  const encoder = new GrpcWebTextEncoder();
  const counter = new GrpcMessageCounter();
  const parts: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += size) {
    const end = Math.min(at + size, bytes.length);
    counter.scan(bytes, at, end);
    parts.push(encoder.encode(bytes, at, end, counter.isAtBoundary));
  }
  parts.push(encoder.encode(bytes, 0, 0, true));
  return Buffer.concat(parts);
}
