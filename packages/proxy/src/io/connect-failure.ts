/** System error codes of a connection attempt, as the few outcomes that the data path tells apart. */
import type { ConnectFailure } from './connection.ts';
import type { TlsFailure } from './tls-context.ts';

export function connectFailure(error: unknown): ConnectFailure {
  switch ((error as { code?: unknown } | null | undefined)?.code) {
    case 'ECONNREFUSED':
    case 'ENOENT':
      return 'refused';
    case 'ETIMEDOUT':
      return 'timeout';
    case 'ENETUNREACH':
    case 'EHOSTUNREACH':
    case 'EADDRNOTAVAIL':
      return 'unreachable';
    case 'EMFILE':
    case 'ENFILE':
      return 'no-descriptor';
    default:
      return 'failed';
  }
}

export function tlsConnectFailure({ kind }: TlsFailure): ConnectFailure {
  if (kind === 'expired') return 'identity-expired';
  return kind === 'no-credential' ? 'identity-missing' : 'tls';
}
