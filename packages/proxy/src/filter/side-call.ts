/**
 * A request of a filter's own, through a cluster (an authorisation service, a key fetch, a mirror): pools,
 * limits and balancing as for any request, one attempt, whole reply in memory up to a bound.
 *
 * The reply callback is called once, or never when the call was cancelled.
 */
import { H, HeaderList } from '@sluice/wire';
import type { Cluster, Endpoint, PickContext } from '../cluster/cluster.ts';
import { Deadline } from '../http/deadline.ts';
import type {
  ResponseMessage,
  ResponseSink,
  StreamWish,
  UpstreamRequest,
  UpstreamReset,
  UpstreamStream,
} from '../http/streams.ts';
import type { Cancel, SideReply, SideRequest } from './filter.ts';
import type { RouterServices } from './router/router-host.ts';

export function startSideCall(
  services: RouterServices,
  clusterName: string,
  request: SideRequest,
  onReply: (reply: SideReply) => void,
): Cancel {
  const cluster = services.findCluster(clusterName);
  const call = new SideCall(services, request, onReply);
  call.start(cluster);
  return call;
}

/** A call of our own has no downstream: such clusters are asked in HTTP/1.1 where they leave the choice. */
const pooled: StreamWish = { mayReuse: true, isTunnel: false, isH2: false, serverName: '', downstream: null };

class SideCall implements ResponseSink, Cancel {
  readonly #services: RouterServices;
  readonly #request: SideRequest;
  readonly #onReply: (reply: SideReply) => void;
  readonly #deadline: Deadline;
  readonly #headers = new HeaderList();
  readonly #chunks: Uint8Array[] = [];
  #stream: UpstreamStream | null = null;
  #cluster: Cluster | null = null;
  #endpoint: Endpoint | null = null;
  #release: () => void = nothing;
  #status = 0;
  #byteCount = 0;
  #isOver = false;

  constructor(services: RouterServices, request: SideRequest, onReply: (reply: SideReply) => void) {
    this.#services = services;
    this.#request = request;
    this.#onReply = onReply;
    this.#deadline = new Deadline(services.timers, this, onTimeout);
  }

  start(cluster: Cluster | null): void {
    if (cluster === null) return this.#later('cluster-not-found');
    const endpoint = cluster.pick(pickContext(this.#services.draw));
    if (endpoint === null) return this.#later('no-healthy-upstream');
    const { requests } = cluster.limits;
    if (!requests.tryAcquire()) return this.#later('upstream-overflow');
    endpoint.activeRequests++;
    this.#release = () => {
      requests.release();
      endpoint.activeRequests--;
    };
    this.#cluster = cluster;
    this.#endpoint = endpoint;
    if (this.#request.timeoutMs > 0)
      this.#deadline.setIn(this.#request.timeoutMs, this.#services.clock.nowMs());
    this.#services.upstream.open(cluster, cluster.limits, endpoint, this, pooled);
  }

  cancel(): void {
    if (this.#isOver) return;
    const stream = this.#stream;
    this.#close();
    if (stream !== null) stream.release();
    else if (this.#endpoint !== null) {
      this.#cluster?.stats.requestCancelled();
      this.#services.upstream.cancel(this.#endpoint, this);
    }
  }

  onUpstreamReady(stream: UpstreamStream): void {
    this.#stream = stream;
    const { method, path, authority, body } = this.#request;
    const headers = new HeaderList();
    headers.append(H.host, authority);
    for (const [name, value] of this.#request.headers) headers.append(name, value);
    const head: UpstreamRequest = {
      method,
      scheme: 'http',
      authority,
      path,
      headers,
      upgrade: '',
      needsWebSocketKey: false,
      contentLength: body === null ? -1 : body.length,
    };
    stream.sendHead(head, body === null || body.length === 0);
    if (body === null || body.length === 0 || this.#isOver) return;
    stream.sendData(body, 0, body.length);
    stream.sendEnd(null);
  }

  onInformational(): void {}

  onResponseHead(response: ResponseMessage): void {
    this.#status = response.status;
    response.headers.copyTo(this.#headers);
  }

  onResponseData(data: Uint8Array, start: number, end: number): void {
    this.#byteCount += end - start;
    if (this.#byteCount > this.#request.maxReplyBytes) {
      this.#fail('response-body-too-large');
      return;
    }
    this.#chunks.push(data.subarray(start, end));
    this.#stream?.consumed(end - start);
  }

  onResponseEnd(): void {
    const stream = this.#stream;
    this.#close();
    stream?.release();
    this.#onReply({
      ok: true,
      status: this.#status,
      headers: this.#headers,
      body: Buffer.concat(this.#chunks),
    });
  }

  onUpstreamWritable(): void {}

  onUpstreamReset(reset: UpstreamReset): void {
    if (this.#isOver) return;
    this.#close();
    this.#onReply({ ok: false, code: `upstream-${reset}` });
  }

  onTimeout(): void {
    this.#fail('request-timeout');
  }

  /** A reply must not come from within `call`, where the filter has not stored its Cancel yet. */
  #later(code: string): void {
    queueMicrotask(() => this.#fail(code));
  }

  #fail(code: string): void {
    if (this.#isOver) return;
    this.cancel();
    this.#onReply({ ok: false, code });
  }

  #close(): void {
    this.#isOver = true;
    this.#stream = null;
    this.#deadline.dispose();
    this.#release();
    this.#release = nothing;
  }
}

function onTimeout(owner: unknown): void {
  (owner as SideCall).onTimeout();
}

function nothing(): void {}

function pickContext(random: () => number): PickContext {
  return {
    tried: [],
    avoidTried: false,
    selectionAttempts: 1,
    headers: null,
    hash: 0,
    originalAddress: null,
    originalPort: 0,
    random,
  };
}
