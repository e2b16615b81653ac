/** Metadata and status as fields of HTTP/2. */
import type { HeaderList } from '../headers/header-list.ts';
import { H } from '../headers/names.ts';
import { decodeGrpcMessage, parseGrpcStatus } from './status.ts';
import type { GrpcMetadata } from './transport.ts';

/** All fields as metadata; `host` is ours, made from `:authority`. */
export function metadataOf(headers: HeaderList): GrpcMetadata {
  const metadata: (readonly [string, string])[] = [];
  headers.forEach((name, value, id) => {
    if (id !== H.host) metadata.push([name, value]);
  });
  return metadata;
}

/** The status that trailers, or the head of a trailers-only answer, hold; null if they hold none. */
export function readStatus(fields: HeaderList): { readonly code: number; readonly message: string } | null {
  const status = fields.get(H.grpcStatus);
  if (status === undefined) return null;
  return { code: parseGrpcStatus(status), message: decodeGrpcMessage(fields.get(H.grpcMessage) ?? '') };
}
