/**
 * The filters of one exchange: their instances, what each sees, the calls they have under way. Reused by
 * the next exchange, except for contexts that a filter may have kept.
 */
import { DISABLED } from '../route/route.ts';
import type { Cancel, HttpFilter, HttpFilterContext, SideReply, SideRequest } from './filter.ts';
import { FilterContext, type ContextHost } from './filter-context.ts';
import { positionBit, type HttpChain } from './http-chain.ts';
import type { RouterServices } from './router/router-host.ts';
import { startSideCall } from './side-call.ts';

export type RouteConfigs = ReadonlyMap<string, unknown> | null;

export class FilterSet {
  readonly #host: ContextHost;
  readonly #chain: HttpChain;
  readonly #filters: HttpFilter[] = [];
  readonly #contexts: FilterContext[] = [];
  #upstreamContext: FilterContext | null = null;
  #calls: Cancel[] | null = null;
  #leftMask = 0;
  readonly #leave = (position: number): void => {
    this.#leftMask |= positionBit(position);
  };

  constructor(host: ContextHost, chain: HttpChain) {
    this.#host = host;
    this.#chain = chain;
    host.runOf('request').watch(this);
    host.runOf('response').watch(this);
  }

  /** Bits of the positions whose filters have left this exchange. */
  get leftMask(): number {
    return this.#leftMask;
  }

  begin(): void {
    const { bindings } = this.#chain;
    this.#leftMask = 0;
    for (let i = 0; i < bindings.length; i++) {
      if (this.#filters[i]?.isReusable !== true)
        this.#filters[i] = bindings[i]!.factory.create(bindings[i]!.config);
    }
  }

  /** Null when it is switched off for this route, or by default and not switched on. */
  at(position: number, configs: RouteConfigs): HttpFilter | null {
    if ((this.#leftMask & positionBit(position)) !== 0) return null;
    const binding = this.#chain.bindings[position]!;
    if (configs !== null && configs.size > 0) {
      const config = configs.get(binding.name);
      if (config === DISABLED) return null;
      if (config !== undefined) return this.#filters[position]!;
    }
    return binding.isDisabledByDefault ? null : this.#filters[position]!;
  }

  contextAt(position: number): HttpFilterContext {
    return (this.#contexts[position] ??= new FilterContext(this.#host, position, this.#leave));
  }

  upstreamContext(): HttpFilterContext {
    return (this.#upstreamContext ??= new FilterContext(
      this.#host,
      this.#chain.bindings.length,
      this.#leave,
    ));
  }

  /** Null: none for this route. */
  configOf(position: number, configs: RouteConfigs): unknown {
    const binding = this.#chain.bindings[position];
    const config = binding === undefined ? undefined : configs?.get(binding.name);
    return config === undefined || config === DISABLED ? null : config;
  }

  call(
    services: RouterServices,
    cluster: string,
    request: SideRequest,
    onReply: (reply: SideReply) => void,
  ): Cancel {
    const call = startSideCall(services, cluster, request, onReply);
    (this.#calls ??= []).push(call);
    return call;
  }

  /** `hasPaused`: some filter may hold its context for later, and must not reach the next exchange by it. */
  end(configs: RouteConfigs, hasPaused: boolean): void {
    const { onEnd } = this.#chain;
    for (let i = 0; i < onEnd.length; i++) {
      const position = onEnd[i]!;
      if ((this.#leftMask & positionBit(position)) !== 0) continue;
      const filter = this.#filters[position]!;
      // A reusable one must be as new, even if the route it was used with has changed to one without it.
      if (filter.isReusable === true || this.at(position, configs) !== null)
        filter.onEnd!(this.contextAt(position));
    }
    if (this.#calls !== null) {
      for (const call of this.#calls) call.cancel();
      this.#calls = null;
    }
    for (let i = 0; i < this.#contexts.length; i++) {
      const context = this.#contexts[i];
      if (context === undefined || !(context.wasKept || hasPaused)) continue;
      context.cutOff();
      this.#contexts[i] = new FilterContext(this.#host, i, this.#leave);
    }
  }
}
