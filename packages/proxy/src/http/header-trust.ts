/**
 * What a request's headers may claim (design §6, Trust).
 *
 * An edge listener faces strangers: proxy-internal names, request ids and forwarding headers that no
 * trusted proxy wrote are removed, so that what goes on inside means something. Inside, callers are
 * believed. `x-forwarded-client-cert` has rules of its own (`forwarded-client-cert.ts`).
 */
import { H, type HeaderList } from '@sluice/wire';
import type { ConnectionFacts } from '../listener/connection-facts.ts';
import type { HttpManagerConfig } from '../listener/listener.ts';
import type { IdSource } from '../telemetry/request-id.ts';
import type { RequestRecord } from '../telemetry/record.ts';
import { judgeClientCert } from './forwarded-client-cert.ts';
import type { RequestMessage } from './streams.ts';

/** Longer request ids are replaced: they end up in every log line. */
const MAX_REQUEST_ID_BYTES = 256;

const UNTRUSTED_FORWARDING = [H.forwarded, H.xRealIp, H.xForwardedHost, H.xForwardedPort] as const;

export function judgeRequestHeaders(
  message: RequestMessage,
  facts: ConnectionFacts,
  config: HttpManagerConfig,
  ids: IdSource,
  record: RequestRecord,
): void {
  const headers = message.headers;
  if (config.isEdge) {
    removeInternalNames(headers);
    if (config.trustedHops === 0) for (const id of UNTRUSTED_FORWARDING) headers.remove(id);
  }
  judgeClientCert(headers, facts, config.clientCert);
  judgeForwardedFor(headers, facts, config, record);
  judgeForwardedProto(message, facts, config);
  judgeRequestId(headers, config, ids, record);
}

/** The address that counts as the client's is the one the outermost trusted proxy saw. */
function judgeForwardedFor(
  headers: HeaderList,
  facts: ConnectionFacts,
  config: HttpManagerConfig,
  record: RequestRecord,
): void {
  const hasList = headers.has(H.xForwardedFor);
  record.clientAddress = facts.remoteAddress;
  if (!hasList && !config.useRemoteAddress) return;
  const entries = hasList
    ? (headers.joined(H.xForwardedFor) ?? '').split(',').map((entry) => entry.trim())
    : [];
  const fromRight = config.useRemoteAddress ? config.trustedHops : config.trustedHops + 1;
  const trusted = fromRight === 0 ? undefined : entries[entries.length - fromRight];
  if (trusted !== undefined && trusted !== '') record.clientAddress = trusted;
  if (!config.useRemoteAddress) return;
  const kept = config.isEdge ? entries.slice(Math.max(0, entries.length - config.trustedHops)) : entries;
  if (config.isEdge && config.trustedHops === 0) kept.length = 0;
  if (!config.skipXffAppend) kept.push(facts.remoteAddress);
  if (kept.length === 0) headers.remove(H.xForwardedFor);
  else headers.set(H.xForwardedFor, kept.join(','));
}

function judgeForwardedProto(
  message: RequestMessage,
  facts: ConnectionFacts,
  config: HttpManagerConfig,
): void {
  const headers = message.headers;
  const own = facts.transportProtocol === 'tls' ? 'https' : 'http';
  const mayClaim = !config.useRemoteAddress || config.trustedHops > 0;
  if (mayClaim && headers.has(H.xForwardedProto)) {
    if (headers.valueEquals(H.xForwardedProto, 'https')) message.scheme = 'https';
    else if (headers.valueEquals(H.xForwardedProto, 'http')) message.scheme = 'http';
    else headers.set(H.xForwardedProto, own);
    return;
  }
  message.scheme = own;
  if (!headers.valueEquals(H.xForwardedProto, own)) headers.set(H.xForwardedProto, own);
}

function judgeRequestId(
  headers: HeaderList,
  config: HttpManagerConfig,
  ids: IdSource,
  record: RequestRecord,
): void {
  const at = headers.indexOf(H.xRequestId);
  const isBelieved = at >= 0 && (!config.isEdge || config.preserveExternalRequestId);
  if (
    isBelieved &&
    headers.valueEndAt(at) - headers.valueStartAt(at) <= MAX_REQUEST_ID_BYTES &&
    headers.valueEndAt(at) > headers.valueStartAt(at)
  ) {
    record.requestId = headers.valueAt(at);
    return;
  }
  if (!config.generateRequestId) {
    if (at >= 0) headers.remove(H.xRequestId);
    return;
  }
  record.requestId = ids.requestId();
  headers.set(H.xRequestId, record.requestId);
}

/** `x-envoy-…` and `x-sluice-…`, interned or not. */
function removeInternalNames(headers: HeaderList): void {
  for (let i = headers.count - 1; i >= 0; i--) {
    const length = headers.nameEndAt(i) - headers.nameStartAt(i);
    if (length <= 8) continue;
    const buf = headers.bufferAt(i);
    const at = headers.nameStartAt(i);
    if ((buf[at]! | 0x20) !== 0x78 || buf[at + 1] !== 0x2d) continue;
    const third = buf[at + 2]! | 0x20;
    if (third !== 0x65 && third !== 0x73) continue;
    const name = headers.nameAt(i).toLowerCase();
    if (name.startsWith('x-envoy-') || name.startsWith('x-sluice-')) headers.removeAt(i);
  }
}
