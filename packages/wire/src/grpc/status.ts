/**
 * gRPC status codes, their place in HTTP, and the coding of `grpc-message`
 * (gRPC over HTTP/2, "Responses"; "HTTP to gRPC Status Code Mapping").
 */
import { decodeLatin1, HEX_VALUE } from '../headers/bytes.ts';

export const GrpcStatus = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  outOfRange: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  dataLoss: 15,
  unauthenticated: 16,
} as const;

const names = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
] as const;

/** Upper-case name of a status, UNKNOWN for numbers outside the table. */
export function grpcStatusName(code: number): string {
  return names[code] ?? 'UNKNOWN';
}

/** What a client makes of a response without `grpc-status`. */
export function grpcStatusOfHttp(httpStatus: number): number {
  switch (httpStatus) {
    case 400:
      return GrpcStatus.internal;
    case 401:
      return GrpcStatus.unauthenticated;
    case 403:
      return GrpcStatus.permissionDenied;
    case 404:
      return GrpcStatus.unimplemented;
    case 429:
    case 502:
    case 503:
    case 504:
      return GrpcStatus.unavailable;
    default:
      return GrpcStatus.unknown;
  }
}

/** HTTP status for a gRPC one where it must be told to a client of plain HTTP (google.rpc.Code). */
const httpByStatus = [
  200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401,
] as const;

export function httpStatusOfGrpc(code: number): number {
  return httpByStatus[code] ?? 500;
}

/** Value of `grpc-status`: a decimal number without sign or leading zeros; UNKNOWN for anything else. */
export function parseGrpcStatus(value: string | undefined): number {
  if (value === undefined || !/^(0|[1-9][0-9]{0,9})$/.test(value)) return GrpcStatus.unknown;
  const code = Number(value);
  return code < names.length ? code : GrpcStatus.unknown;
}

/** Percent-encodes a message: UTF-8, octets outside 0x20..0x7E and `%` as %XX. */
export function encodeGrpcMessage(message: string): string {
  if (/^[\x20-\x24\x26-\x7e]*$/.test(message)) return message;
  let encoded = '';
  for (const octet of new TextEncoder().encode(message)) {
    const isPlain = octet >= 0x20 && octet <= 0x7e && octet !== 0x25;
    encoded += isPlain ? String.fromCharCode(octet) : '%' + octet.toString(16).toUpperCase().padStart(2, '0');
  }
  return encoded;
}

/** Decodes `grpc-message`; a broken escape stays as it is and broken UTF-8 becomes U+FFFD, for nothing may be lost. */
export function decodeGrpcMessage(value: string): string {
  if (!value.includes('%')) return value;
  const octets = new Uint8Array(value.length);
  let length = 0;
  for (let i = 0; i < value.length; i++) {
    const high = value.charCodeAt(i) === 0x25 ? hexAt(value, i + 1) : 255;
    const low = high === 255 ? 255 : hexAt(value, i + 2);
    if (low === 255) {
      octets[length++] = value.charCodeAt(i);
      continue;
    }
    octets[length++] = high * 16 + low;
    i += 2;
  }
  return new TextDecoder().decode(octets.subarray(0, length));
}

function hexAt(text: string, index: number): number {
  return index < text.length ? (HEX_VALUE[text.charCodeAt(index)] ?? 255) : 255;
}

const timeoutUnitsNs: ReadonlyMap<string, number> = new Map([
  ['H', 3_600e9],
  ['M', 60e9],
  ['S', 1e9],
  ['m', 1e6],
  ['u', 1e3],
  ['n', 1],
]);

/**
 * `grpc-timeout` in milliseconds, rounded up so that a positive timeout never becomes 0; undefined if it
 * is not one to eight digits and a unit.
 */
export function parseGrpcTimeoutMs(value: string): number | undefined {
  const match = /^([0-9]{1,8})([HMSmun])$/.exec(value);
  if (match === null) return undefined;
  return Math.ceil((Number(match[1]) * timeoutUnitsNs.get(match[2]!)!) / 1e6);
}

/** As `parseGrpcTimeoutMs`, from octets. */
export function readGrpcTimeoutMs(buf: Uint8Array, start: number, end: number): number | undefined {
  return end - start > 9 ? undefined : parseGrpcTimeoutMs(decodeLatin1(buf, start, end));
}

/** Milliseconds as `grpc-timeout`, in the finest unit that eight digits can hold. */
export function formatGrpcTimeout(timeoutMs: number): string {
  const ms = Math.max(0, Math.ceil(timeoutMs));
  if (ms <= 99_999_999) return `${ms}m`;
  const seconds = Math.ceil(ms / 1000);
  if (seconds <= 99_999_999) return `${seconds}S`;
  const minutes = Math.ceil(seconds / 60);
  if (minutes <= 99_999_999) return `${minutes}M`;
  return `${Math.min(99_999_999, Math.ceil(minutes / 60))}H`;
}
