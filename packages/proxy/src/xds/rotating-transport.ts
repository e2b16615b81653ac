/** Several addresses of one control plane: the next is tried when a stream ends without having said anything. */
import type { GrpcStreamTransport } from '@sluice/wire';

export function rotatingTransport(transports: readonly GrpcStreamTransport[]): GrpcStreamTransport {
  let current = 0;
  return {
    open(path, metadata, sink) {
      const transport = transports[current % transports.length];
      if (transport === undefined) throw new Error('the control plane has no address');
      let hasSpoken = false;
      return transport.open(path, metadata, {
        onMessage(message) {
          hasSpoken = true;
          sink.onMessage(message);
        },
        onStatus(code, message, trailers) {
          if (!hasSpoken) current++;
          sink.onStatus(code, message, trailers);
        },
        onDrain: () => sink.onDrain?.(),
      });
    },
  };
}
