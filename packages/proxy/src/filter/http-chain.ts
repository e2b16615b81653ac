/**
 * A listener's HTTP filters, compiled: for each method the positions of the filters that have it, so that a
 * method nobody defines costs nothing. Request filters run in the listener's order, response filters in the
 * reverse; the terminal filter (the router) is not in the lists.
 *
 * Which methods a filter has is read from one instance made at compilation: a factory must give all its
 * instances the same methods.
 */
import type { HttpFilter, HttpFilterBinding } from './filter.ts';

export interface HttpChain {
  /** Without the terminal filter. */
  readonly bindings: readonly HttpFilterBinding[];
  readonly terminal: HttpFilterBinding;
  readonly request: DirectionPlan;
  readonly response: DirectionPlan;
  /** Positions in `bindings` of filters with `onEnd`. */
  readonly onEnd: readonly number[];
}

/** Steps are indices into `order`; `order` holds positions in `bindings`. */
export interface DirectionPlan {
  readonly order: readonly number[];
  readonly hasHead: readonly boolean[];
  readonly hasData: readonly boolean[];
  readonly hasTrailers: readonly boolean[];
  /** Bits of the positions that have the method; see `positionBit`. */
  readonly headMask: number;
  readonly dataMask: number;
  readonly trailersMask: number;
  /** Some filter may replace body bytes: a declared length is not forwarded. */
  readonly rewritesBody: boolean;
}

const compiled = new WeakMap<readonly HttpFilterBinding[], HttpChain>();

/** The chain of these bindings, compiled once per array. Throws when the last filter is not terminal. */
export function httpChainOf(bindings: readonly HttpFilterBinding[]): HttpChain {
  let chain = compiled.get(bindings);
  if (chain === undefined) compiled.set(bindings, (chain = compile(bindings)));
  return chain;
}

function compile(bindings: readonly HttpFilterBinding[]): HttpChain {
  const last = bindings.at(-1);
  if (last === undefined || !last.factory.isTerminal)
    throw new Error('the last HTTP filter must be terminal');
  const before = bindings.slice(0, -1);
  if (before.some((binding) => binding.factory.isTerminal))
    throw new Error('only the last HTTP filter may be terminal');
  const samples = before.map((binding) => binding.factory.create(binding.config));
  const order = before.map((_, i) => i);
  return {
    bindings: before,
    terminal: last,
    request: plan(samples, order, 'Request'),
    response: plan(samples, [...order].reverse(), 'Response'),
    onEnd: order.filter((i) => samples[i]?.onEnd !== undefined),
  };
}

function plan(
  samples: readonly HttpFilter[],
  order: readonly number[],
  direction: 'Request' | 'Response',
): DirectionPlan {
  const has = (method: keyof HttpFilter): boolean[] => order.map((i) => samples[i]?.[method] !== undefined);
  const hasHead = has(`on${direction}Head`);
  const hasData = has(`on${direction}Data`);
  const hasTrailers = has(`on${direction}Trailers`);
  return {
    order,
    hasHead,
    hasData,
    hasTrailers,
    headMask: maskOf(order, hasHead),
    dataMask: maskOf(order, hasData),
    trailersMask: maskOf(order, hasTrailers),
    rewritesBody: samples.some(
      (filter) =>
        (direction === 'Request' ? filter.rewritesRequestBody : filter.rewritesResponseBody) === true,
    ),
  };
}

/** Filters of a chain that may leave an exchange; later ones always stay. */
const MAX_LEAVING = 31;

/** 0 for positions that no mask holds. */
export function positionBit(position: number): number {
  return position < MAX_LEAVING ? 1 << position : 0;
}

/** All bits where one of the filters can never leave. */
function maskOf(order: readonly number[], has: readonly boolean[]): number {
  let mask = 0;
  order.forEach((position, step) => {
    if (has[step] === true) mask |= positionBit(position) || -1;
  });
  return mask;
}
