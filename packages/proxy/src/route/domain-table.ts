/**
 * Virtual hosts by domain, in Envoy's order: exact, then the longest `*suffix`, then the longest
 * `prefix*`, then `*`. Comparison ignores case. A wildcard stands for at least one character.
 */
import type { ProblemScope } from '../config/problems.ts';

export class DomainTable<T> {
  readonly #exact = new Map<string, T>();
  readonly #suffixes = new Map<string, T>();
  readonly #prefixes = new Map<string, T>();
  #suffixLengths: number[] = [];
  #prefixLengths: number[] = [];
  #any: T | null = null;

  /** A domain that is already taken is an error: which host would serve it must not depend on order. */
  add(domain: string, value: T, scope: ProblemScope): void {
    const lower = domain.toLowerCase();
    const inner = lower.slice(1, -1);
    if (lower === '') scope.error('must not be empty');
    else if (inner.includes('*') || (lower.length > 1 && lower.startsWith('*') && lower.endsWith('*'))) {
      scope.error(`"${domain}": a wildcard may stand at one end only`);
    } else if (!this.#put(lower, value)) scope.error(`domain "${domain}" occurs twice in the table`);
  }

  find(host: string): T | null {
    const lower = toLower(host);
    const exact = this.#exact.get(lower);
    if (exact !== undefined) return exact;
    for (const length of this.#suffixLengths) {
      const found = length < lower.length ? this.#suffixes.get(lower.slice(-length)) : undefined;
      if (found !== undefined) return found;
    }
    for (const length of this.#prefixLengths) {
      const found = length < lower.length ? this.#prefixes.get(lower.slice(0, length)) : undefined;
      if (found !== undefined) return found;
    }
    return this.#any;
  }

  #put(domain: string, value: T): boolean {
    if (domain === '*') {
      if (this.#any !== null) return false;
      this.#any = value;
      return true;
    }
    const isSuffix = domain.startsWith('*');
    const isPrefix = domain.endsWith('*');
    const table = isSuffix ? this.#suffixes : isPrefix ? this.#prefixes : this.#exact;
    const key = isSuffix ? domain.slice(1) : isPrefix ? domain.slice(0, -1) : domain;
    if (table.has(key)) return false;
    table.set(key, value);
    if (isSuffix) this.#suffixLengths = lengthsOf(this.#suffixes);
    if (isPrefix) this.#prefixLengths = lengthsOf(this.#prefixes);
    return true;
  }
}

/** `host:80` → `host`, `[::1]:80` → `[::1]`; a bare IPv6 address keeps its colons. */
export function withoutPort(authority: string): string {
  const colon = authority.lastIndexOf(':');
  if (colon < 0 || authority.endsWith(']')) return authority;
  if (authority.indexOf(':') !== colon && !authority.startsWith('[')) return authority;
  return authority.slice(0, colon);
}

/** Most hosts are lower case already: no string is made for them. */
function toLower(text: string): string {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if ((code >= 0x41 && code <= 0x5a) || code > 0x7f) return text.toLowerCase();
  }
  return text;
}

/** Distinct lengths, longest first. */
function lengthsOf<T>(table: ReadonlyMap<string, T>): number[] {
  return [...new Set([...table.keys()].map((key) => key.length))].sort((a, b) => b - a);
}
