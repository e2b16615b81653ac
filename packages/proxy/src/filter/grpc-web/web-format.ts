/** The two formats of gRPC-Web by their media types; parameters and case make no difference. */
import { type HeaderList, type NameId } from '@sluice/wire';

const PREFIX = 'application/grpc-web';

const formats: Readonly<Record<string, 'binary' | 'text'>> = {
  'application/grpc-web': 'binary',
  'application/grpc-web+proto': 'binary',
  'application/grpc-web-text': 'text',
  'application/grpc-web-text+proto': 'text',
};

/** Format of the media type in a field (the first, in `accept`); null for anything else. */
export function grpcWebFormat(headers: HeaderList, field: NameId): 'binary' | 'text' | null {
  const at = headers.indexOf(field);
  if (at < 0 || headers.valueEndAt(at) - headers.valueStartAt(at) < PREFIX.length) return null;
  // `application/g`: most requests are seen not to be gRPC without making a string.
  if ((headers.bufferAt(at)[headers.valueStartAt(at) + 12]! | 0x20) !== 0x67) return null;
  const [type = ''] = headers.valueAt(at).split(/[;,]/, 1);
  return formats[type.trimEnd().toLowerCase()] ?? null;
}
