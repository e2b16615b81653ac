/**
 * The request record's implementation: plain fields, set by the data path, reset without allocation.
 *
 * `operator()` serves header formats (`%REQ(x)%` in request_headers_to_add); access logs read the
 * fields through their own compiled program (`format.ts`) and never come through here.
 */
import type { HeaderList } from '@sluice/wire';
import type { Cluster, Endpoint } from '../cluster/cluster.ts';
import type { TlsFacts } from '../io/tls-facts.ts';
import type { ConnectionFacts } from '../listener/listener.ts';
import type { CompiledRoute } from '../route/route.ts';
import { operatorText } from './operator-text.ts';
import { compileOperator, type CompiledOperator, type ProcessFacts } from './operators.ts';
import type { Decision, RequestRecord } from './record.ts';

/** Facts of no connection; a record refers to it until the data path sets the real one. */
export const NO_CONNECTION: ConnectionFacts = Object.freeze({
  localAddress: '',
  localPort: 0,
  remoteAddress: '',
  remotePort: 0,
  destinationAddress: '',
  destinationPort: 0,
  isDestinationRestored: false,
  transportProtocol: 'raw_buffer',
  serverName: '',
  applicationProtocols: [],
  peerIdentity: null,
  isMutualTls: false,
  tls: null,
});

/** A request that goes wrong again and again must not grow its trail without bound. */
const MAX_DECISIONS = 64;

const NO_PROCESS: ProcessFacts = { hostname: '', environment: () => null };

export function createRequestRecord(process: ProcessFacts = NO_PROCESS): RequestRecord {
  return new ReusableRequestRecord(process);
}

class ReusableRequestRecord implements RequestRecord {
  kind: 'http' | 'tcp' = 'http';
  startWallMs = 0;
  startMs = 0;
  requestHeadEndMs = 0;
  requestEndMs = 0;
  upstreamHeadSentMs = 0;
  upstreamFirstByteMs = 0;
  upstreamLastByteMs = 0;
  responseEndMs = 0;
  listenerName = '';
  trafficDirection: 'UNSPECIFIED' | 'INBOUND' | 'OUTBOUND' = 'UNSPECIFIED';
  statPrefix = '';
  connection: ConnectionFacts = NO_CONNECTION;
  protocol: 'HTTP/1.0' | 'HTTP/1.1' | 'HTTP/2' | '-' = '-';
  method = '';
  path = '';
  originalPath = '';
  authority = '';
  requestHeaders: HeaderList | null = null;
  responseHeaders: HeaderList | null = null;
  responseTrailers: HeaderList | null = null;
  clientAddress = '';
  isHealthCheck = false;
  route: CompiledRoute | null = null;
  cluster: Cluster | null = null;
  clusterName = '';
  endpoint: Endpoint | null = null;
  upstreamLocalAddress = '';
  upstreamTls: TlsFacts | null = null;
  upstreamTransportFailure = '';
  attempts = 0;
  status = 0;
  flags = 0;
  responseCodeDetails = '';
  reason = '';
  terminationDetails = '';
  requestId = '';
  traceId = '';
  spanId = '';
  parentSpanId = '';
  isSampled = false;
  bytesReceived = 0;
  bytesSent = 0;
  upstreamBytesSent = 0;
  upstreamBytesReceived = 0;
  decisions: Decision[] = [];
  metadata: Map<string, Map<string, unknown>> | null = null;
  isGrpc = false;
  grpcStatus = -1;
  requestMessages = 0;
  responseMessages = 0;
  readonly #process: ProcessFacts;

  constructor(process: ProcessFacts) {
    this.#process = process;
  }

  operator(name: string, argument: string, maxLength: number | undefined): string | null {
    const compiled = cachedOperator(name, argument, maxLength, this.#process);
    return compiled === null ? null : operatorText(this, compiled);
  }

  decide(what: string, policy: string, detail: string): void {
    if (this.decisions.length < MAX_DECISIONS) this.decisions.push({ what, policy, detail });
  }

  setMetadata(namespace: string, key: string, value: unknown): void {
    this.metadata ??= new Map();
    const values = this.metadata.get(namespace);
    if (values === undefined) this.metadata.set(namespace, new Map([[key, value]]));
    else values.set(key, value);
  }

  getMetadata(namespace: string, key: string): unknown {
    return (
      this.metadata?.get(namespace)?.get(key) ?? this.connection.proxied?.metadata.get(namespace)?.get(key)
    );
  }

  reset(): void {
    this.kind = 'http';
    this.startWallMs = 0;
    this.startMs = 0;
    this.requestHeadEndMs = 0;
    this.requestEndMs = 0;
    this.upstreamHeadSentMs = 0;
    this.upstreamFirstByteMs = 0;
    this.upstreamLastByteMs = 0;
    this.responseEndMs = 0;
    this.listenerName = '';
    this.trafficDirection = 'UNSPECIFIED';
    this.statPrefix = '';
    this.connection = NO_CONNECTION;
    this.protocol = '-';
    this.method = '';
    this.path = '';
    this.originalPath = '';
    this.authority = '';
    this.requestHeaders = null;
    this.responseHeaders = null;
    this.responseTrailers = null;
    this.clientAddress = '';
    this.isHealthCheck = false;
    this.route = null;
    this.cluster = null;
    this.clusterName = '';
    this.endpoint = null;
    this.upstreamLocalAddress = '';
    this.upstreamTls = null;
    this.upstreamTransportFailure = '';
    this.attempts = 0;
    this.status = 0;
    this.flags = 0;
    this.responseCodeDetails = '';
    this.reason = '';
    this.terminationDetails = '';
    this.requestId = '';
    this.traceId = '';
    this.spanId = '';
    this.parentSpanId = '';
    this.isSampled = false;
    this.bytesReceived = 0;
    this.bytesSent = 0;
    this.upstreamBytesSent = 0;
    this.upstreamBytesReceived = 0;
    if (this.decisions.length > 0) this.decisions.length = 0;
    this.metadata = null;
    this.isGrpc = false;
    this.grpcStatus = -1;
    this.requestMessages = 0;
    this.responseMessages = 0;
  }
}

/** Header formats are configuration, so the operators they use are few; the bound is a safeguard. */
const MAX_CACHED_OPERATORS = 4096;
const caches = new WeakMap<ProcessFacts, Map<string, CompiledOperator | null>>();

function cachedOperator(
  name: string,
  argument: string,
  maxLength: number | undefined,
  process: ProcessFacts,
): CompiledOperator | null {
  let cache = caches.get(process);
  if (cache === undefined) caches.set(process, (cache = new Map()));
  const key = `${name}(${argument}):${maxLength ?? ''}`;
  const known = cache.get(key);
  if (known !== undefined) return known;
  const compiled = compileOperator(name, argument, maxLength, process, []);
  if (cache.size < MAX_CACHED_OPERATORS) cache.set(key, compiled);
  return compiled;
}
