/**
 * From YAML nodes to plain JSON values, in one walk in document order that also resolves aliases and merge keys
 * and finds what a parser lets pass: repeated keys, keys that reach an object's prototype, numbers JSON cannot
 * hold. Own code rather than the library's `toJS`, because limits and places have to be kept at every node.
 * Invariant: the result holds only objects, arrays, strings, finite numbers, booleans and null, and shares nothing.
 */
import { isAlias, isMap, isScalar, isSeq, type Alias, type Node, type YAMLMap } from 'yaml';
import { forbiddenKeys } from '../patch/json.ts';
import type { YamlLimits } from './limits.ts';

export interface ContentProblem {
  readonly code: 'duplicate-key' | 'forbidden-key' | 'invalid-value' | 'too-large';
  readonly message: string;
  readonly offset: number;
}

export interface Converted {
  readonly value: unknown;
  readonly problems: readonly ContentProblem[];
  /** Where each alias leads, for `locate`. */
  readonly targets: ReadonlyMap<Alias, Node>;
}

/** Thrown when a limit is reached; the rest of the document is not looked at. */
class LimitReached extends Error {}

export function convert(root: Node, limits: YamlLimits): Converted {
  const walk = new Walk(limits);
  try {
    const value = walk.valueOf(root, 0);
    return { value, problems: walk.problems, targets: walk.targets };
  } catch (error) {
    if (!(error instanceof LimitReached)) throw error;
    return { value: undefined, problems: walk.problems, targets: walk.targets };
  }
}

class Walk {
  readonly problems: ContentProblem[] = [];
  readonly targets = new Map<Alias, Node>();
  readonly #anchors = new Map<string, { node: Node; value: unknown; size: number; isOpen: boolean }>();
  readonly #limits: YamlLimits;
  #values = 0;

  constructor(limits: YamlLimits) {
    this.#limits = limits;
  }

  valueOf(node: unknown, depth: number): unknown {
    const found = node as Node | null;
    this.#count(1, found, depth);
    if (isAlias(found)) return this.#alias(found, depth);
    const anchor = (found as { anchor?: string } | null)?.anchor;
    const before = this.#values;
    const entry = { node: found as Node, value: undefined as unknown, size: 0, isOpen: true };
    if (anchor !== undefined) this.#anchors.set(anchor, entry);
    const value = this.#plain(found, depth);
    entry.value = value;
    entry.size = this.#values - before + 1;
    entry.isOpen = false;
    return value;
  }

  #plain(node: Node | null, depth: number): unknown {
    if (isMap(node)) return this.#map(node, depth);
    if (isSeq(node)) return node.items.map((item) => this.valueOf(item, depth + 1));
    return isScalar(node) ? this.#scalar(node.value, node) : null;
  }

  #map(node: YAMLMap, depth: number): Record<string, unknown> {
    const own: Record<string, unknown> = {};
    const merged: Record<string, unknown>[] = [];
    for (const pair of node.items) {
      const keyNode = pair.key as Node | null;
      const key = isScalar(keyNode) ? String(keyNode.value) : undefined;
      if (key === undefined) {
        this.#report('invalid-value', 'a key must be a plain text', keyNode ?? node);
        continue;
      }
      if (forbiddenKeys.has(key)) {
        this.#report('forbidden-key', `the key ${key} is refused`, keyNode);
        continue;
      }
      const value = this.valueOf(pair.value, depth + 1);
      if (key === '<<' && isPlainKey(keyNode)) {
        merged.push(...this.#mergeSources(value, keyNode));
      } else if (Object.hasOwn(own, key)) {
        this.#report('duplicate-key', `the key ${quoted(key)} is repeated`, keyNode);
      } else {
        own[key] = value;
      }
    }
    // Own members win over merged ones, earlier sources over later ones.
    return merged.length === 0 ? own : Object.assign({}, ...merged.toReversed(), own);
  }

  #mergeSources(value: unknown, node: Node | null): Record<string, unknown>[] {
    const sources = Array.isArray(value) ? value : [value];
    const maps = sources.filter((source): source is Record<string, unknown> => {
      return typeof source === 'object' && source !== null && !Array.isArray(source);
    });
    if (maps.length !== sources.length)
      this.#report('invalid-value', '<< needs a mapping or a list of mappings', node);
    return maps;
  }

  #alias(alias: Alias, depth: number): unknown {
    const target = this.#anchors.get(alias.source);
    if (target === undefined || target.isOpen) {
      const why = target === undefined ? 'has no anchor before it' : 'contains itself';
      this.#report('invalid-value', `the alias *${alias.source.slice(0, 64)} ${why}`, alias);
      return null;
    }
    this.targets.set(alias, target.node);
    this.#count(target.size, alias, depth + depthOf(target.value));
    return structuredClone(target.value);
  }

  #scalar(value: unknown, node: Node): unknown {
    if (typeof value === 'string' || typeof value === 'boolean' || value === null) return value;
    if (typeof value === 'number' && Number.isFinite(value)) {
      const source = (node as { source?: string }).source ?? '';
      if (Number.isInteger(value) && !Number.isSafeInteger(value) && /^[-+]?\d+$/.test(source)) {
        this.#report('invalid-value', 'the number is too large to be kept exactly; write it in quotes', node);
      }
      return value;
    }
    if (value === undefined) return null;
    this.#report('invalid-value', 'the value is not a text, a finite number, true, false or null', node);
    return null;
  }

  #count(values: number, node: Node | null, depth: number): void {
    this.#values += values;
    if (this.#values <= this.#limits.maxValues && depth <= this.#limits.maxDepth) return;
    const what =
      depth > this.#limits.maxDepth
        ? `nested deeper than ${this.#limits.maxDepth} levels`
        : `more than ${this.#limits.maxValues} values, aliases expanded`;
    this.#report('too-large', what, node);
    throw new LimitReached();
  }

  #report(code: ContentProblem['code'], message: string, node: Node | null): void {
    this.problems.push({ code, message, offset: node?.range?.[0] ?? 0 });
  }
}

/** `<<` merges only when written plain; in quotes it is a key like any other. */
export function isPlainKey(node: Node | null): boolean {
  return isScalar(node) && (node.type === undefined || node.type === 'PLAIN');
}

/** Levels of a value that is already within the limits, so the recursion is bounded. */
function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  let deepest = 0;
  for (const member of Object.values(value)) deepest = Math.max(deepest, depthOf(member));
  return deepest + 1;
}

function quoted(key: string): string {
  return JSON.stringify(key.length > 64 ? `${key.slice(0, 64)}…` : key);
}
