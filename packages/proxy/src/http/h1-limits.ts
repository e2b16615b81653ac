/** The HTTP/1 limits that an HTTP manager's configuration means, made once per binding. */
import { defaultH1Limits, type H1Limits } from '@sluice/wire';
import type { HttpBinding } from './exchange-services.ts';

/** Octets of later requests that may wait while one is served (design §6). */
export const MAX_PIPELINED_BYTES = 64 * 1024;

const known = new WeakMap<HttpBinding, H1Limits>();

export function h1LimitsOf(binding: HttpBinding): H1Limits {
  let limits = known.get(binding);
  if (limits === undefined) {
    const { maxRequestHeadersBytes, maxRequestHeadersCount } = binding.config;
    limits = {
      ...defaultH1Limits,
      maxStartLineBytes: maxRequestHeadersBytes,
      maxHeaderBytes: maxRequestHeadersBytes,
      maxHeaderCount: maxRequestHeadersCount,
    };
    known.set(binding, limits);
  }
  return limits;
}
