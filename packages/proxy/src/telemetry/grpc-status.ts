/**
 * What became of a gRPC call, as Envoy sees it: the status of the trailers, else of the head (a reply of
 * trailers only), else the one that stands for the HTTP status. And the names of statuses in logs.
 */
import { grpcStatusOfHttp, H, type HeaderList } from '@sluice/wire';
import { isGrpcRequest } from '../http/grpc-request.ts';
import type { RequestRecord } from './record.ts';

/** Larger numbers are no status that anybody gives; they count as unknown. */
const MAX_DIGITS = 4;
const UNKNOWN = 2;

/** Number in `grpc-status`: -1 where there is none, UNKNOWN where it is no number. Makes no string. */
export function grpcStatusIn(headers: HeaderList): number {
  const at = headers.indexOf(H.grpcStatus);
  if (at < 0) return -1;
  const buf = headers.bufferAt(at);
  const start = headers.valueStartAt(at);
  const end = headers.valueEndAt(at);
  if (start === end || end - start > MAX_DIGITS) return UNKNOWN;
  let status = 0;
  for (let i = start; i < end; i++) {
    const digit = buf[i]! - 0x30;
    if (digit < 0 || digit > 9) return UNKNOWN;
    status = status * 10 + digit;
  }
  return status;
}

/** At the end of an exchange, when its headers are still there; a filter may have set the status before. */
export function noteGrpcOutcome(record: RequestRecord): void {
  record.isGrpc ||= record.requestHeaders !== null && isGrpcRequest(record.requestHeaders);
  if (!record.isGrpc) return;
  if (record.grpcStatus >= 0) return;
  if (record.responseTrailers !== null) record.grpcStatus = grpcStatusIn(record.responseTrailers);
  if (record.grpcStatus < 0 && record.responseHeaders !== null)
    record.grpcStatus = grpcStatusIn(record.responseHeaders);
  if (record.grpcStatus < 0 && record.status > 0) record.grpcStatus = grpcStatusOfHttp(record.status);
}

const camelNames = [
  'OK',
  'Canceled',
  'Unknown',
  'InvalidArgument',
  'DeadlineExceeded',
  'NotFound',
  'AlreadyExists',
  'PermissionDenied',
  'ResourceExhausted',
  'FailedPrecondition',
  'Aborted',
  'OutOfRange',
  'Unimplemented',
  'Internal',
  'Unavailable',
  'DataLoss',
  'Unauthenticated',
] as const;

/** Envoy's `%GRPC_STATUS(CAMEL_STRING)%`; the number where it has no name. */
export function grpcStatusCamelName(status: number): string {
  return camelNames[status] ?? `${status}`;
}
