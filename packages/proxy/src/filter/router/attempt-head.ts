/**
 * The head of a request as one attempt sends it: what depends on the endpoint, on which attempt it is, and on
 * the filters that see each attempt. One per router, reused: a stream has written it before it is filled again.
 */
import { H, HeaderList } from '@sluice/wire';
import type { UpstreamRequest } from '../../http/streams.ts';
import type { ForwardAction } from '../../route/route.ts';
import type { Attempt } from './attempt.ts';
import type { RequestClocks } from './request-clocks.ts';
import type { RouterHost } from './router-host.ts';
import { smallDecimal } from './small-decimal.ts';

type Writable<T> = { -readonly [K in keyof T]: T[K] };

export class AttemptHead {
  readonly #host: RouterHost;
  readonly #clocks: RequestClocks;
  readonly #request: Writable<UpstreamRequest>;
  #ownHeaders: HeaderList | null = null;

  constructor(host: RouterHost, clocks: RequestClocks) {
    this.#host = host;
    this.#clocks = clocks;
    this.#request = {
      method: '',
      scheme: 'http',
      authority: '',
      path: '',
      headers: host.message.headers,
      upgrade: '',
      needsWebSocketKey: false,
      contentLength: -1,
    };
  }

  /** Null: a filter has answered in the attempt's place. */
  prepare(attempt: Attempt, action: ForwardAction): UpstreamRequest | null {
    const host = this.#host;
    const { record, message } = host;
    const endpoint = attempt.endpoint!;
    const request = this.#request;
    record.endpoint = endpoint;
    record.upstreamLocalAddress = attempt.stream!.localAddress;
    record.upstreamTls = attempt.stream!.tls;
    attempt.number = ++record.attempts;
    request.headers = message.headers;
    const hasFilters = host.upstreamFilters.length > 0;
    if (hasFilters) {
      // What a filter writes for one attempt must not show in the next.
      request.headers = this.#ownHeaders ??= new HeaderList();
      message.headers.copyTo(request.headers);
    }
    if (host.route!.virtualHost.includeRequestAttemptCount)
      request.headers.set(H.xEnvoyAttemptCount, smallDecimal(attempt.number));
    const rewrite = host.weighted?.hostRewrite ?? action.hostRewrite;
    if (rewrite?.kind === 'auto' && endpoint.hostname !== '') request.headers.set(H.host, endpoint.hostname);
    if (attempt.number > 1) this.#clocks.tellAgain(request.headers, record, host.suppressEnvoyHeaders);
    request.method = message.method;
    request.path = message.path;
    request.upgrade = message.upgrade;
    request.contentLength = message.contentLength;
    for (const filter of host.upstreamFilters) {
      const verdict = filter.onAttemptHead?.(host.upstreamFilterContext(), request.headers, attempt.number);
      if (verdict === 'answered' || !attempt.isOpen) return null;
    }
    request.scheme = message.scheme;
    request.needsWebSocketKey = message.protocol === 'HTTP/2';
    request.authority = message.authority;
    return request;
  }
}
