/**
 * What an operator reads from a record: a number, a string, or a header's octets.
 *
 * Two switches, by kind of value, so that the log writer can print numbers and header octets without
 * making strings of them.
 */
import { grpcStatusName, type HeaderList } from '@sluice/wire';
import { grpcStatusCamelName } from './grpc-status.ts';
import type { CompiledOperator, HeaderReference } from './operators.ts';
import type { RequestRecord } from './record.ts';
import { tlsValue } from './tls-operators.ts';
import { responseFlagsLong, responseFlagsShort } from './response-flags.ts';

/** Value of an operator of kind `number`; NaN when there is none. */
export function numberValue(record: RequestRecord, operator: CompiledOperator): number {
  switch (operator.name) {
    case 'RESPONSE_CODE':
      return record.status;
    case 'BYTES_RECEIVED':
      return record.bytesReceived;
    case 'BYTES_SENT':
      return record.bytesSent;
    case 'UPSTREAM_WIRE_BYTES_SENT':
      return record.upstreamBytesSent;
    case 'UPSTREAM_WIRE_BYTES_RECEIVED':
      return record.upstreamBytesReceived;
    case 'DURATION':
      return elapsedMs(record.startMs, record.responseEndMs);
    case 'REQUEST_DURATION':
      return elapsedMs(record.startMs, record.requestEndMs);
    case 'RESPONSE_DURATION':
      return elapsedMs(record.startMs, record.upstreamFirstByteMs);
    case 'RESPONSE_TX_DURATION':
      return elapsedMs(record.upstreamFirstByteMs, record.responseEndMs);
    case 'UPSTREAM_REQUEST_ATTEMPT_COUNT':
      return record.attempts;
    case 'DOWNSTREAM_LOCAL_PORT':
      return localPort(record);
    case 'DOWNSTREAM_REMOTE_PORT':
      return remotePort(record);
    case 'DOWNSTREAM_DIRECT_REMOTE_PORT':
      return directRemotePort(record);
    case 'GRPC_STATUS_NUMBER':
      return record.grpcStatus < 0 ? Number.NaN : record.grpcStatus;
    default:
      return Number.NaN;
  }
}

/** Value of an operator of kind `text` or `octets`; null when there is none. */
export function textValue(record: RequestRecord, operator: CompiledOperator): string | null {
  switch (operator.name) {
    case 'PROTOCOL':
      return record.protocol === '-' ? null : record.protocol;
    case 'RESPONSE_CODE_DETAILS':
      return withoutSpaces(record.responseCodeDetails);
    case 'RESPONSE_FLAGS':
      return responseFlagsShort(record.flags);
    case 'RESPONSE_FLAGS_LONG':
      return responseFlagsLong(record.flags);
    case 'CONNECTION_TERMINATION_DETAILS':
      return withoutSpaces(record.terminationDetails);
    case 'UPSTREAM_TRANSPORT_FAILURE_REASON':
      return withoutSpaces(record.upstreamTransportFailure);
    case 'UPSTREAM_HOST':
      return record.endpoint === null ? null : record.endpoint.label;
    case 'UPSTREAM_HOST_NAME':
      return record.endpoint === null ? null : (given(record.endpoint.hostname) ?? record.endpoint.label);
    case 'UPSTREAM_CLUSTER':
      return record.cluster === null ? given(record.clusterName) : record.cluster.statName;
    case 'UPSTREAM_CLUSTER_RAW':
      return record.cluster === null ? given(record.clusterName) : record.cluster.name;
    case 'UPSTREAM_LOCAL_ADDRESS':
      return given(record.upstreamLocalAddress);
    case 'DOWNSTREAM_TRANSPORT_FAILURE_REASON':
      return withoutSpaces(record.connection.transportFailure ?? '');
    case 'REQUESTED_SERVER_NAME':
      return given(record.connection.serverName);
    case 'ROUTE_NAME':
      return record.route === null ? null : given(record.route.name);
    case 'STREAM_ID':
      return given(record.requestId);
    case 'TRACE_ID':
      return given(record.traceId);
    case 'GRPC_STATUS':
      if (record.grpcStatus < 0) return null;
      return operator.path[0] === 'SNAKE_STRING'
        ? grpcStatusName(record.grpcStatus)
        : grpcStatusCamelName(record.grpcStatus);
    default:
      return tlsValue(record, operator.name) ?? null;
  }
}

/** Host part of an operator of kind `address`. */
export function addressHost(record: RequestRecord, operator: CompiledOperator): string {
  const { connection } = record;
  switch (operator.name) {
    case 'DOWNSTREAM_LOCAL_ADDRESS':
    case 'DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT':
      return connection.isDestinationRestored ? connection.destinationAddress : connection.localAddress;
    case 'DOWNSTREAM_REMOTE_ADDRESS':
    case 'DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT':
      return record.clientAddress !== '' ? record.clientAddress : connection.remoteAddress;
    default:
      return connection.proxied?.directRemoteAddress ?? connection.remoteAddress;
  }
}

/** Port part of an operator of kind `address`; -1 when it prints none. */
export function addressPort(record: RequestRecord, operator: CompiledOperator): number {
  switch (operator.name) {
    case 'DOWNSTREAM_LOCAL_ADDRESS':
      return localPort(record);
    case 'DOWNSTREAM_REMOTE_ADDRESS':
      return remotePort(record);
    case 'DOWNSTREAM_DIRECT_REMOTE_ADDRESS':
      return directRemotePort(record);
    default:
      return -1;
  }
}

/** The headers that an operator of kind `header` reads; null when there are none. */
export function headersOf(record: RequestRecord, operator: CompiledOperator): HeaderList | null {
  if (operator.name === 'REQ') return record.requestHeaders;
  return operator.name === 'RESP' ? record.responseHeaders : record.responseTrailers;
}

/** Value that the record itself holds for a (pseudo) header; null = look among the headers. */
export function ownHeaderValue(
  record: RequestRecord,
  operator: CompiledOperator,
  reference: HeaderReference,
): string | null {
  if (operator.name !== 'REQ') {
    return operator.name === 'RESP' && reference.name === ':status' ? `${record.status}` : null;
  }
  switch (reference.name) {
    case ':method':
      return given(record.method);
    case ':path':
      return given(record.path);
    case ':authority':
    case 'host':
      return given(record.authority);
    case ':scheme':
      return record.connection.transportProtocol === 'tls' ? 'https' : 'http';
    case 'x-envoy-original-path':
      return record.originalPath !== record.path ? given(record.originalPath) : null;
    default:
      return null;
  }
}

/** Index of a header in a list, -1 when absent. */
export function headerIndex(headers: HeaderList, reference: HeaderReference): number {
  if (reference.id !== 0) return headers.indexOf(reference.id);
  for (let i = 0; i < headers.count; i += 1) {
    if (headers.nameAt(i).toLowerCase() === reference.name) return i;
  }
  return -1;
}

/** Dynamic metadata at a path of namespace and keys; undefined when there is none. */
export function metadataValue(record: RequestRecord, path: readonly string[]): unknown {
  const name = path[0] ?? '';
  const namespace = record.metadata?.get(name) ?? record.connection.proxied?.metadata.get(name);
  if (namespace === undefined) return undefined;
  const [, key, ...deeper] = path;
  if (key === undefined) return Object.fromEntries(namespace);
  let value: unknown = namespace.get(key);
  for (const step of deeper) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Record<string, unknown>)[step];
  }
  return value;
}

/** IPv6 addresses stand in brackets before a port. */
export function joinAddress(host: string, port: number): string {
  if (port < 0) return host;
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function elapsedMs(fromMs: number, toMs: number): number {
  return fromMs === 0 || toMs === 0 ? Number.NaN : Math.max(0, Math.floor(toMs - fromMs));
}

function localPort(record: RequestRecord): number {
  const { connection } = record;
  return connection.isDestinationRestored ? connection.destinationPort : connection.localPort;
}

/** An address taken from a forwarding header has no port: 0, as Envoy prints it. */
function remotePort(record: RequestRecord): number {
  const { clientAddress, connection } = record;
  return clientAddress === '' || clientAddress === connection.remoteAddress ? connection.remotePort : 0;
}

/** Of the socket, whatever a PROXY header or a forwarding header said. */
function directRemotePort({ connection }: RequestRecord): number {
  return connection.proxied?.directRemotePort ?? connection.remotePort;
}

function given(text: string): string | null {
  return text === '' ? null : text;
}

/** Details are printed unquoted, so a space would shift the fields after them. */
function withoutSpaces(text: string): string | null {
  if (text === '') return null;
  return text.includes(' ') ? text.replaceAll(' ', '_') : text;
}
