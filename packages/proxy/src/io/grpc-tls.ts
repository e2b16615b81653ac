/**
 * A judged TLS connection for gRPC: nothing is written on it (a bearer token is the first thing that would
 * be) before the judge has accepted the server.
 */
import { connect, type TLSSocket } from 'node:tls';
import { peersOf } from './peer-certificate.ts';
import type { TlsClientContext, TlsFailure } from './tls-context.ts';
import { isTlsFailure } from './tls-context.ts';
import {
  chainOf,
  engineContext,
  engineFailure,
  factsOf,
  outcomeOf,
  type EngineCertificate,
  type EngineView,
} from './tls-engine.ts';

/** `target`: `host:port`, `[v6]:port` or `unix:/path`. `onEnd` comes exactly once; the returned function gives up. */
export function connectTls(
  target: string,
  context: TlsClientContext,
  onEnd: (result: TLSSocket | TlsFailure) => void,
): () => void {
  const settings = context.settings();
  let isOver = false;
  const fail = (failure: TlsFailure): void => {
    if (isOver) return;
    isOver = true;
    context.onFailure(failure);
    onEnd(failure);
  };
  if (isTlsFailure(settings)) {
    fail(settings);
    return () => undefined;
  }
  const socket = connect({
    ...addressOf(target),
    secureContext: engineContext(settings),
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
    ALPNProtocols: [...settings.alpn],
    ...(context.serverName === '' ? {} : { servername: context.serverName }),
  });
  socket.on('error', (error: Error) => {
    fail(failureOf(error));
    socket.destroy();
  });
  socket.on('close', () =>
    fail({ kind: 'closed', reason: 'the server closed the connection during the handshake' }),
  );
  socket.on('secureConnect', () => {
    if (isOver) return;
    const view = viewOf(socket);
    const given = outcomeOf(view, verdictOf(socket), context.serverName, settings);
    const outcome = context.asOfNow?.(given, settings) ?? given;
    const refusal = context.judge(outcome, settings);
    if (refusal !== null) {
      if (outcome.peer !== null) peersOf(settings).forget(outcome.peer);
      fail(refusal);
      socket.destroy();
      return;
    }
    isOver = true;
    context.onHandshake(factsOf(view, outcome, settings));
    onEnd(socket);
  });
  return () => {
    fail({ kind: 'timeout', reason: 'the connection was not made in time' });
    socket.destroy();
  };
}

/** Of `host:port`, `[v6]:port` or `unix:/path`, as sockets take it. */
export function addressOf(target: string): { path: string } | { host: string; port: number } {
  if (target.startsWith('unix:')) return { path: target.slice('unix:'.length) };
  const colon = target.lastIndexOf(':');
  return { host: target.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(target.slice(colon + 1)) };
}

/** An error, or only its code. */
function verdictOf(socket: TLSSocket): unknown {
  const verdict: unknown = socket.authorizationError;
  return typeof verdict === 'string' ? { code: verdict } : verdict;
}

/** A socket that was never connected says nothing about TLS. */
function failureOf(error: Error): TlsFailure {
  if ('syscall' in error) return { kind: 'closed', reason: error.message };
  return engineFailure(error) ?? { kind: 'protocol', reason: error.message };
}

function viewOf(socket: TLSSocket): EngineView {
  return {
    protocol: socket.getProtocol() ?? '',
    cipher: socket.getCipher().name,
    alpn: typeof socket.alpnProtocol === 'string' ? socket.alpnProtocol : '',
    isResumed: socket.isSessionReused(),
    leaf: socket.getPeerX509Certificate()?.raw ?? null,
    chain: () => chainOf(socket.getPeerCertificate(true) as EngineCertificate),
  };
}
