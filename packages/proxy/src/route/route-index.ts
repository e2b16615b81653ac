/**
 * Finds the first route of a virtual host whose predicates hold, without looking at all of them:
 * routes are filed by exact path and by prefix, and only what can match is tried, in any order, keeping
 * the lowest index. Case-insensitive, regex and CONNECT routes are tried one by one.
 *
 * Invariant: the answer equals that of a linear scan over the list (property-tested).
 */
import type { RequestPredicate } from './header-predicate.ts';
import { pathMatches, type PathMatch } from './path-match.ts';
import type { RouteRequest } from './route.ts';

export interface IndexedRoute<T> {
  readonly path: PathMatch;
  /** Everything but the path and the random fraction. */
  readonly predicates: readonly RequestPredicate[];
  /** Share of requests in [0,1] that may take the route; null = all. */
  readonly share: number | null;
  readonly route: T;
}

export type FindRoute<T> = (request: RouteRequest, random: () => number) => T | null;

/** Below this a scan is cheaper than hashing substrings. */
const scanLimit = 4;

export function indexRoutes<T>(routes: readonly IndexedRoute<T>[]): FindRoute<T> {
  if (routes.length <= scanLimit) return (request, random) => scanRoutes(routes, request, random);
  const index = new RouteIndex(routes);
  return (request, random) => index.find(request, random);
}

/** The reference: list order, first match. */
export function scanRoutes<T>(
  routes: readonly IndexedRoute<T>[],
  request: RouteRequest,
  random: () => number,
): T | null {
  for (const entry of routes) {
    if (pathMatches(entry.path, request.method, request.path) && holds(entry, request, random))
      return entry.route;
  }
  return null;
}

class RouteIndex<T> {
  readonly #routes: readonly IndexedRoute<T>[];
  readonly #exact = new Map<string, number[]>();
  readonly #prefixes = new Map<string, number[]>();
  /** Distinct lengths of the prefixes, ascending. */
  readonly #prefixLengths: readonly number[];
  readonly #others: number[] = [];

  constructor(routes: readonly IndexedRoute<T>[]) {
    this.#routes = routes;
    for (const [i, { path }] of routes.entries()) {
      if (path.kind === 'regex' || path.kind === 'connect' || path.ignoreCase) this.#others.push(i);
      else if (path.kind === 'exact') file(this.#exact, path.path, i);
      else file(this.#prefixes, path.prefix, i);
    }
    this.#prefixLengths = [...new Set([...this.#prefixes.keys()].map((key) => key.length))].sort(
      (a, b) => a - b,
    );
  }

  find(request: RouteRequest, random: () => number): T | null {
    const { path } = request;
    let best = this.#firstOf(this.#exact.get(path), this.#routes.length, request, random);
    for (const length of this.#prefixLengths) {
      if (length > path.length) break;
      best = this.#firstOf(this.#prefixes.get(path.slice(0, length)), best, request, random);
    }
    best = this.#firstOf(this.#others, best, request, random);
    return this.#routes[best]?.route ?? null;
  }

  /** The lowest index in `candidates` below `best` that matches, else `best`. */
  #firstOf(
    candidates: readonly number[] | undefined,
    best: number,
    request: RouteRequest,
    random: () => number,
  ): number {
    if (candidates === undefined) return best;
    for (const i of candidates) {
      if (i >= best) return best;
      const entry = this.#routes[i];
      if (entry === undefined || !pathMatches(entry.path, request.method, request.path)) continue;
      if (holds(entry, request, random)) return i;
    }
    return best;
  }
}

function holds<T>(entry: IndexedRoute<T>, request: RouteRequest, random: () => number): boolean {
  for (const predicate of entry.predicates) if (!predicate(request)) return false;
  return entry.share === null || random() < entry.share;
}

function file(table: Map<string, number[]>, key: string, index: number): void {
  const entries = table.get(key);
  if (entries === undefined) table.set(key, [index]);
  else entries.push(index);
}
