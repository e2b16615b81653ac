/**
 * Virtual hosts by domain, in Envoy's order: exact, then the longest `*suffix`, then the longest
 * `prefix*`, then `*`. Comparison ignores case. A wildcard stands for at least one character.
 */
import type { ProblemScope } from '../config/problems.ts';

export class DomainTable<T> {
  #exact = new Map<string, T>();
  #suffixes = new Map<string, T>();
  #prefixes = new Map<string, T>();
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

  /** A table of its own with the same entries. */
  copy(): DomainTable<T> {
    const copy = new DomainTable<T>();
    copy.#exact = new Map(this.#exact);
    copy.#suffixes = new Map(this.#suffixes);
    copy.#prefixes = new Map(this.#prefixes);
    copy.#suffixLengths = this.#suffixLengths;
    copy.#prefixLengths = this.#prefixLengths;
    copy.#any = this.#any;
    return copy;
  }

  remove(domain: string): void {
    const lower = domain.toLowerCase();
    if (lower === '*') {
      this.#any = null;
      return;
    }
    const [table, key] = this.#placeOf(lower);
    if (table.delete(key)) this.#countLengths(table);
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
    const [table, key] = this.#placeOf(domain);
    if (table.has(key)) return false;
    table.set(key, value);
    this.#countLengths(table);
    return true;
  }

  #placeOf(domain: string): readonly [Map<string, T>, string] {
    if (domain.startsWith('*')) return [this.#suffixes, domain.slice(1)];
    if (domain.endsWith('*')) return [this.#prefixes, domain.slice(0, -1)];
    return [this.#exact, domain];
  }

  #countLengths(table: Map<string, T>): void {
    if (table === this.#suffixes) this.#suffixLengths = lengthsOf(table);
    else if (table === this.#prefixes) this.#prefixLengths = lengthsOf(table);
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
