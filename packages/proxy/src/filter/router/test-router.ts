/**
 * A router between a scripted exchange and scripted streams: no sockets, a fake clock, and every event when the
 * test says so. What the real peers promise (`http/streams.ts`) the test keeps, or breaks on purpose.
 */
import { createRandom, FakeClock, TimerWheel } from '@sluice/runtime';
import { H, HeaderList } from '@sluice/wire';
import type { Cluster, Endpoint } from '../../cluster/cluster.ts';
import type { ProxyErrorCode } from '../../errors.ts';
import {
  forwardTo,
  testCluster,
  testEndpoint,
  testRoute,
  type TestCluster,
} from '../../http/test-doubles.ts';
import type {
  RequestMessage,
  ResponseMessage,
  ResponseSink,
  UpstreamRequest,
  UpstreamStream,
} from '../../http/streams.ts';
import type { CompiledRoute, ForwardAction } from '../../route/route.ts';
import { createRequestRecord, NO_CONNECTION } from '../../telemetry/request-record.ts';
import type { HttpFilterContext, LocalReply, UpstreamHttpFilter } from '../filter.ts';
import type { Hedging } from './hedging.ts';
import { Router } from './router.ts';
import type { RouterHost, RouterServices } from './router-host.ts';

/** One try: asked for by the router, given to it by `ready`. */
export class FakeStream implements UpstreamStream {
  readonly endpoint: Endpoint;
  readonly sink: ResponseSink;
  readonly localAddress: string;
  readonly tls = null;
  isReused = false;
  isWritable = true;
  readonly queuedBytes = 0;
  isReady = false;
  isReleased = false;
  /** It was taken back before it was ready. */
  isCancelled = false;
  request: UpstreamRequest | null = null;
  hasEnd = false;
  hasHead = false;
  credited = 0;
  readonly #chunks: Uint8Array[] = [];

  constructor(endpoint: Endpoint, sink: ResponseSink, number: number) {
    this.endpoint = endpoint;
    this.sink = sink;
    this.localAddress = `127.0.0.1:${number}`;
  }

  /** The router may still hear of it. */
  get isOpen(): boolean {
    return !this.isReleased && !this.isCancelled;
  }
  get body(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  sendHead(request: UpstreamRequest, isEnd: boolean): void {
    this.request = { ...request };
    this.hasEnd = isEnd;
  }
  sendData(data: Uint8Array, start: number, end: number): void {
    if (this.isReleased || this.hasEnd) throw new Error('octets after the end');
    if (!this.isWritable) throw new Error('octets for a stream that takes none');
    this.#chunks.push(data.slice(start, end));
  }
  sendEnd(): void {
    if (this.isReleased || this.hasEnd) throw new Error('a second end');
    this.hasEnd = true;
  }
  consumed(byteCount: number): void {
    this.credited += byteCount;
  }
  release(): void {
    if (this.isReleased) throw new Error('released twice');
    this.isReleased = true;
  }

  // --- what the endpoint does ---

  ready(): void {
    this.isReady = true;
    this.sink.onUpstreamReady(this);
  }
  head(status: number, isEnd = false): void {
    this.hasHead = true;
    this.sink.onResponseHead(response(status), isEnd);
    if (isEnd && this.isOpen) this.sink.onResponseEnd(null);
  }
  data(byteCount: number): void {
    this.sink.onResponseData(new Uint8Array(byteCount), 0, byteCount);
  }
  end(): void {
    this.sink.onResponseEnd(null);
  }
  /** The stream is gone by itself: nobody releases it. */
  reset(reset: Parameters<ResponseSink['onUpstreamReset']>[0] = 'remote-reset'): void {
    this.isReleased = true;
    this.sink.onUpstreamReset(reset, 'scripted');
  }
}

export function response(status: number): ResponseMessage {
  return { status, headers: new HeaderList(), contentLength: -1 };
}

export interface RouterWorldOptions {
  readonly hedging?: Hedging | null;
  readonly action?: Partial<ForwardAction>;
  readonly endpoints?: number;
  readonly upstreamFilters?: readonly UpstreamHttpFilter[];
}

export class RouterWorld implements RouterHost {
  readonly clock = new FakeClock(1000);
  readonly wheel = new TimerWheel(this.clock);
  readonly cluster: TestCluster;
  readonly streams: FakeStream[] = [];
  readonly services: RouterServices;
  readonly router: Router;
  // --- what the router sees of its exchange ---
  readonly message: RequestMessage = {
    method: 'GET',
    scheme: 'http',
    authority: 'a',
    path: '/',
    protocol: 'HTTP/1.1',
    headers: new HeaderList(),
    upgrade: '',
    expectsContinue: false,
    contentLength: -1,
  };
  readonly routeRequest: RouterHost['routeRequest'];
  readonly record = createRequestRecord();
  readonly connection = NO_CONNECTION;
  readonly destinationAddress = null;
  readonly destinationPort = 0;
  readonly route: CompiledRoute;
  readonly weighted = null;
  readonly routeTableName = 'test';
  readonly hasRouteTable = true;
  isDownstreamWritable = true;
  readonly allowedUpgrades = new Map<string, boolean>();
  readonly upstreamFilters: readonly UpstreamHttpFilter[];
  readonly suppressEnvoyHeaders = false;
  // --- what it has heard of it ---
  isActive = false;
  begun: number[] = [];
  replies: LocalReply[] = [];
  aborts: string[] = [];
  ends = 0;
  receivedBytes = 0;
  informed: number[] = [];
  /** Octets of the request sent, and of those the ones that the router has not taken yet. */
  sentBytes = 0;
  owedBytes = 0;

  constructor({ hedging = null, action = {}, endpoints = 2, upstreamFilters = [] }: RouterWorldOptions = {}) {
    this.clock.attach(this.wheel);
    const ports = Array.from({ length: endpoints }, (_, i) => testEndpoint(i + 1));
    this.cluster = testCluster('a', ports);
    this.route = testRoute(forwardTo('a', action));
    this.upstreamFilters = upstreamFilters;
    this.routeRequest = {
      method: 'GET',
      scheme: 'http',
      authority: 'a',
      path: '/',
      query: '',
      headers: this.message.headers,
      localPort: 0,
    };
    const random = createRandom('router');
    this.services = {
      timers: this.wheel,
      clock: this.clock,
      random,
      draw: () => random.next(),
      upstream: {
        open: (_cluster, _limits, endpoint, sink) =>
          void this.streams.push(new FakeStream(endpoint, sink, this.streams.length + 1)),
        cancel: (_endpoint, sink) => {
          const stream = this.streams.findLast((each) => each.sink === sink);
          if (stream !== undefined && !stream.isReady) stream.isCancelled = true;
        },
      },
      findCluster: (): Cluster => this.cluster,
    };
    this.router = new Router(this, hedging);
  }

  get live(): readonly FakeStream[] {
    return this.streams.filter((stream) => stream.isOpen);
  }

  start(isEnd: boolean): void {
    this.isActive = true;
    this.record.reset();
    this.message.headers.reset();
    this.message.headers.append(H.host, 'a');
    this.router.start(isEnd);
  }

  /** The octet at each position is its position, so that a reader can be checked against it. */
  send(byteCount: number): void {
    const chunk = bodyOf(this.sentBytes, byteCount);
    this.sentBytes += byteCount;
    this.owedBytes += byteCount;
    this.router.data(chunk, 0, byteCount);
    this.grantRequestCredit();
  }

  /** The client has gone, or the exchange is over. */
  finish(): void {
    this.isActive = false;
    this.router.reset();
    this.sentBytes = this.owedBytes = 0;
  }

  answer(reply: LocalReply): void {
    if (!this.isActive) return;
    this.router.cancel();
    this.replies.push(reply);
    this.finish();
  }
  beginResponse(message: ResponseMessage): void {
    this.begun.push(message.status);
  }
  informational(message: ResponseMessage): void {
    this.informed.push(message.status);
  }
  responseData(_data: Uint8Array, start: number, end: number): void {
    this.receivedBytes += end - start;
  }
  responseEnd(): void {
    this.ends++;
    this.finish();
  }
  abortResponse(_flag: number, _details: string, code: ProxyErrorCode): void {
    this.aborts.push(code);
    this.finish();
  }
  grantRequestCredit(): void {
    if (this.owedBytes > 0 && this.router.takesBytes) this.owedBytes = 0;
  }
  upstreamFilterContext(): HttpFilterContext {
    throw new Error('the filters of these tests ask for none');
  }
}

export function bodyOf(from: number, byteCount: number): Buffer {
  const bytes = Buffer.alloc(byteCount);
  for (let i = 0; i < byteCount; i++) bytes[i] = (from + i) % 251;
  return bytes;
}
