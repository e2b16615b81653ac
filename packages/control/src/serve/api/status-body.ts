/**
 * Kubernetes `Status` bodies: the one form in which the API says no. Every refusal is an ApiError thrown by the
 * handler that found it and turned into a reply in one place (resource-api.ts).
 */
import { formatKey, type Problem, type ResourceKey } from '@sluice/api';
import type { WriteFailure } from '../../source/store.ts';

export interface StatusCause {
  readonly reason?: string;
  readonly message: string;
  readonly field?: string;
}

export interface StatusDetails {
  readonly name?: string;
  readonly group?: string;
  readonly kind?: string;
  readonly uid?: string;
  readonly causes?: readonly StatusCause[];
  readonly retryAfterSeconds?: number;
}

export interface StatusBody {
  readonly kind: 'Status';
  readonly apiVersion: 'v1';
  readonly metadata: Record<string, never>;
  readonly status: 'Success' | 'Failure';
  readonly message?: string;
  readonly reason?: string;
  readonly details?: StatusDetails;
  readonly code: number;
}

/** Kubernetes' reasons by HTTP status, and our one addition for a full disk. */
const reasonByCode: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  405: 'MethodNotAllowed',
  406: 'NotAcceptable',
  408: 'Timeout',
  409: 'Conflict',
  410: 'Expired',
  413: 'RequestEntityTooLarge',
  415: 'UnsupportedMediaType',
  422: 'Invalid',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
  504: 'Timeout',
  507: 'InsufficientStorage',
};

export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly code: number;
  readonly reason: string;
  readonly details: StatusDetails | undefined;

  constructor(code: number, message: string, details?: StatusDetails, reason?: string) {
    super(message);
    this.code = code;
    this.reason = reason ?? reasonByCode[code] ?? 'Unknown';
    this.details = details;
  }
}

export function failureBody(error: ApiError): StatusBody {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: error.message,
    reason: error.reason,
    ...(error.details === undefined ? {} : { details: error.details }),
    code: error.code,
  };
}

export function successBody(details: StatusDetails): StatusBody {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details, code: 200 };
}

/** What a refused write of the store is over HTTP. */
export function writeError(failure: WriteFailure, key: ResourceKey, plural: string): ApiError {
  const details = { name: key.name, group: key.group, kind: plural };
  switch (failure.code) {
    case 'conflict':
      return new ApiError(409, failure.message, details);
    case 'owned-elsewhere':
      return new ApiError(409, failure.message, {
        ...details,
        causes: [{ reason: 'OwnedElsewhere', message: failure.message }],
      });
    case 'already-exists':
      return new ApiError(409, failure.message, details, 'AlreadyExists');
    case 'not-found':
      return new ApiError(404, failure.message, details);
    case 'state-unwritable':
      return new ApiError(507, failure.message, details);
    case 'invalid':
      return invalidError(failure.problems, key, plural);
  }
}

function toCause({ code, path, message, suggestion }: Problem): StatusCause {
  const text = suggestion === undefined ? message : `${message} (${suggestion})`;
  return path === '' ? { reason: code, message: text } : { reason: code, message: text, field: path };
}

/** 422 with every error as a cause: path in `field`, and what to do in the message. */
export function invalidError(problems: readonly Problem[], key: ResourceKey, plural: string): ApiError {
  const errors = problems.filter((problem) => problem.severity === 'error');
  const causes = errors.map(toCause);
  const text = causes.map(({ field, message }) => (field === undefined ? message : `${field}: ${message}`));
  return new ApiError(422, `${formatKey(key)} is invalid: ${text.join('; ')}`, {
    name: key.name,
    group: key.group,
    kind: plural,
    causes,
  });
}
