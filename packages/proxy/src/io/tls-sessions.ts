/**
 * TLS sessions of clients, kept to skip the certificates of the next handshake with the same server.
 *
 * Kept per settings object: a session holds what was verified under its credential and roots, and must not
 * outlive them. The judge looks at a resumed session's certificate as at a fresh one.
 */
import type { TlsSettings } from './tls-context.ts';

/** Servers remembered per settings; a session with its certificates is about 2 KB. */
const maxServers = 256;

const stores = new WeakMap<TlsSettings, Map<string, Uint8Array>>();

export function rememberSession(settings: TlsSettings, server: string, session: Uint8Array): void {
  let sessions = stores.get(settings);
  if (sessions === undefined) stores.set(settings, (sessions = new Map()));
  sessions.delete(server);
  if (sessions.size >= maxServers) sessions.delete(sessions.keys().next().value!);
  sessions.set(server, session);
}

export function knownSession(settings: TlsSettings, server: string): Uint8Array | null {
  return stores.get(settings)?.get(server) ?? null;
}

export function forgetSession(settings: TlsSettings, server: string): void {
  stores.get(settings)?.delete(server);
}
