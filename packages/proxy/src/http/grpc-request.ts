/** Whether a request speaks gRPC, so that proxy-made replies are answered in its terms. */
import { H, type HeaderList } from '@sluice/wire';

const PREFIX = 'application/grpc';

/** `application/grpc`, with a subtype or parameters; gRPC-Web is another protocol (`application/grpc-web`). */
export function isGrpcRequest(headers: HeaderList): boolean {
  const at = headers.indexOf(H.contentType);
  if (at < 0) return false;
  const length = headers.valueEndAt(at) - headers.valueStartAt(at);
  if (length < PREFIX.length || headers.bufferAt(at)[headers.valueStartAt(at) + 12] !== 0x67) return false;
  const value = headers.valueAt(at).toLowerCase();
  return value.startsWith(PREFIX) && (length === PREFIX.length || '+; '.includes(value[PREFIX.length]!));
}
