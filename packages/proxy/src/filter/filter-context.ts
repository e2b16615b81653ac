/**
 * What one filter sees of one exchange. Contexts are kept with the exchange and reused, unless a filter
 * paused or made a call: such a filter may hold on to its context, so it is cut off and a new one is made.
 */
import type { HeaderList } from '@sluice/wire';
import type { Cluster } from '../cluster/cluster.ts';
import type { ConnectionFacts } from '../listener/connection-facts.ts';
import type { CompiledRoute, RouteRequest } from '../route/route.ts';
import type { RequestRecord } from '../telemetry/record.ts';
import type {
  Cancel,
  HttpFilterContext,
  LocalReply,
  ResponseView,
  SideReply,
  SideRequest,
} from './filter.ts';
import type { Direction, FilterRun, Overflow } from './filter-run.ts';

export interface ContextHost {
  readonly routeRequest: RouteRequest;
  readonly requestHeaders: HeaderList;
  readonly response: ResponseView | null;
  readonly connection: ConnectionFacts;
  readonly record: RequestRecord;
  readonly route: CompiledRoute | null;
  routeConfigOf(position: number): unknown;
  rematchRoute(): void;
  setDestination(address: string, port: number): void;
  answerFrom(position: number, reply: LocalReply): void;
  resumeFrom(position: number): void;
  runOf(direction: Direction): FilterRun;
  bodyReplaced(direction: Direction, byteCount: number): void;
  callCluster(cluster: string, request: SideRequest, onReply: (reply: SideReply) => void): Cancel;
  findCluster(name: string): Cluster | null;
}

const nothingToCancel: Cancel = { cancel() {} };

export class FilterContext implements HttpFilterContext {
  #host: ContextHost | null;
  readonly #last: ContextHost;
  readonly #position: number;
  readonly #leave: (position: number) => void;
  /** A filter may have kept this context for later. */
  wasKept = false;

  constructor(host: ContextHost, position: number, leave: (position: number) => void) {
    this.#host = host;
    this.#last = host;
    this.#position = position;
    this.#leave = leave;
  }

  get request(): RouteRequest {
    return this.#last.routeRequest;
  }
  get requestHeaders(): HeaderList {
    return this.#last.requestHeaders;
  }
  get response(): ResponseView | null {
    return this.#host === null ? null : this.#host.response;
  }
  get connection(): ConnectionFacts {
    return this.#last.connection;
  }
  get record(): RequestRecord {
    return this.#last.record;
  }
  get route(): CompiledRoute | null {
    return this.#host === null ? null : this.#host.route;
  }

  /** From here on nothing this context is asked for has an effect. */
  cutOff(): void {
    this.#host = null;
  }

  leave(): void {
    if (this.#host !== null) this.#leave(this.#position);
  }

  routeConfig(): unknown {
    return this.#host?.routeConfigOf(this.#position) ?? null;
  }
  clearRouteCache(): void {
    this.#host?.rematchRoute();
  }
  setDestination(address: string, port: number): void {
    this.#host?.setDestination(address, port);
  }
  setMetadata(namespace: string, key: string, value: unknown): void {
    this.#host?.record.setMetadata(namespace, key, value);
  }
  getMetadata(namespace: string, key: string): unknown {
    return this.#host?.record.getMetadata(namespace, key);
  }
  answer(reply: LocalReply): void {
    this.#host?.answerFrom(this.#position, reply);
  }
  resume(): void {
    this.#host?.resumeFrom(this.#position);
  }
  bufferBody(direction: Direction, limitBytes: number, overflow: Overflow = 'refuse'): void {
    this.#host?.runOf(direction).collect(limitBytes, overflow);
  }
  rewriteBody(direction: Direction): void {
    this.#host?.bodyReplaced(direction, -1);
  }
  appendBody(data: Uint8Array): void {
    const response = this.#host?.runOf('response');
    const run = response?.isIterating === true ? response : this.#host?.runOf('request');
    run?.append(data);
  }
  call(cluster: string, request: SideRequest, onReply: (reply: SideReply) => void): Cancel {
    if (this.#host === null) return nothingToCancel;
    this.wasKept = true;
    return this.#host.callCluster(cluster, request, onReply);
  }
  findCluster(name: string): Cluster | null {
    return this.#host?.findCluster(name) ?? null;
  }
}
