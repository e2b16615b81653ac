/** What a failed connection means to the requests that waited for it. */
import type { UpstreamReset } from '../http/streams.ts';
import type { ConnectFailure } from '../io/connection.ts';

const resets: Readonly<Partial<Record<ConnectFailure, UpstreamReset>>> = {
  timeout: 'connect-timeout',
  'no-descriptor': 'no-descriptor',
  tls: 'tls-failed',
  'identity-missing': 'identity-missing',
  'identity-expired': 'identity-expired',
};

export function resetOf(failure: ConnectFailure): UpstreamReset {
  return resets[failure] ?? 'connect-failed';
}

/** The endpoint has nothing to do with it, so that it is not avoided for it. */
export function isOwnFailure(failure: ConnectFailure): boolean {
  return failure === 'no-descriptor' || failure === 'identity-missing' || failure === 'identity-expired';
}
