/** Places of paths in a composed document, found when they are asked for: most documents have no problem. */
import { isAlias, isMap, isScalar, isSeq, type Alias, type Node, type Pair, type YAMLMap } from 'yaml';
import type { Locate, Path, PathStep, Position } from '../position.ts';
import { isPlainKey } from './convert.ts';

export function locator(
  root: Node,
  targets: ReadonlyMap<Alias, Node>,
  placeOf: (offset: number) => Position,
  prefix: Path = [],
): Locate {
  const positionOf = (node: Node | null | undefined): Position | undefined => {
    const offset = node?.range?.[0];
    return offset === undefined ? undefined : placeOf(offset);
  };
  return (path, part = 'key') => {
    let node: Node | null = root;
    let place: Node | null = root;
    for (const step of [...prefix, ...path]) {
      const container = follow(node, targets);
      const found = childOf(container, step, targets);
      if (found === undefined) return positionOf(place);
      node = found.value;
      place = part === 'value' ? (found.value ?? found.key) : (found.key ?? found.value);
      place ??= container;
    }
    return positionOf(place);
  };
}

interface Child {
  readonly key: Node | null;
  readonly value: Node | null;
}

function follow(node: Node | null, targets: ReadonlyMap<Alias, Node>): Node | null {
  return isAlias(node) ? (targets.get(node) ?? null) : node;
}

function childOf(
  container: Node | null,
  step: PathStep,
  targets: ReadonlyMap<Alias, Node>,
): Child | undefined {
  if (isSeq(container)) {
    const item = container.items[Number(step)];
    return item === undefined ? undefined : { key: null, value: item as Node | null };
  }
  if (!isMap(container)) return undefined;
  return memberOf(container, String(step)) ?? mergedMemberOf(container, step, targets);
}

function memberOf(map: YAMLMap, name: string): Child | undefined {
  const pair = map.items.find((pair) => isScalar(pair.key) && String(pair.key.value) === name);
  return pair === undefined ? undefined : asChild(pair);
}

function mergedMemberOf(map: YAMLMap, step: PathStep, targets: ReadonlyMap<Alias, Node>): Child | undefined {
  for (const pair of map.items) {
    const key = pair.key as Node | null;
    if (!isScalar(key) || key.value !== '<<' || !isPlainKey(key)) continue;
    const source = follow(pair.value as Node | null, targets);
    for (const item of isSeq(source) ? source.items : [source]) {
      const found = childOf(follow(item as Node | null, targets), step, targets);
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

function asChild(pair: Pair): Child {
  return { key: pair.key as Node | null, value: pair.value as Node | null };
}
