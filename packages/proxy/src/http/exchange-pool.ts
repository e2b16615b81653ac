/**
 * Exchanges of one filter chain, lent to connections for a request at a time: an idle connection holds none,
 * which is most of what it would weigh, and the last one used is the one still in the processor's cache.
 */
import type { ExchangeServices, HttpBinding } from './exchange-services.ts';
import { Exchange } from './exchange.ts';

/** Enough for a burst; what is beyond is left to the collector. */
const MAX_IDLE = 256;

export class ExchangePool {
  readonly #services: ExchangeServices;
  readonly #binding: HttpBinding;
  readonly #idle: Exchange[] = [];

  constructor(services: ExchangeServices, binding: HttpBinding) {
    this.#services = services;
    this.#binding = binding;
  }

  take(): Exchange {
    return this.#idle.pop() ?? new Exchange(this.#services, this.#binding);
  }

  give(exchange: Exchange): void {
    exchange.detach();
    if (this.#idle.length < MAX_IDLE) this.#idle.push(exchange);
    else exchange.dispose();
  }
}

const pools = new WeakMap<HttpBinding, ExchangePool>();

export function exchangePoolOf(services: ExchangeServices, binding: HttpBinding): ExchangePool {
  let pool = pools.get(binding);
  if (pool === undefined) pools.set(binding, (pool = new ExchangePool(services, binding)));
  return pool;
}
