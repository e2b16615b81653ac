/**
 * YAML (and JSON, which is YAML) into a value, with the place of every part of it. Loaded only for text that
 * is not plain JSON and for naming the place of a mistake: the parser costs 3 MB in every proxy otherwise.
 */
import type { JsonValue } from '@sluice/xds';
import { isCollection, isMap, isScalar, LineCounter, parseDocument } from 'yaml';

/** Design §6, Trust: a cap on what one file may make of us. */
const maxAliases = 1_000;

export interface Place {
  readonly line: number;
  readonly column: number;
  /** How many segments of the path the text has. */
  readonly depth: number;
}

export interface YamlText {
  /** Meaningless when there are problems. */
  readonly value: JsonValue;
  /** `line:column: message`. */
  readonly problems: readonly string[];
  /** The nearest node that a proto path leads to. */
  place(path: string): Place;
}

export function parseYaml(text: string): YamlText {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    uniqueKeys: true,
    merge: true,
  });
  const problems = document.errors.map((error) => {
    const { line, col } = lines.linePos(error.pos[0]);
    return `${line}:${col}: ${error.message}`;
  });
  const value = problems.length > 0 ? null : (document.toJS({ maxAliasCount: maxAliases }) as JsonValue);
  return {
    value,
    problems,
    place(path) {
      const { offset, depth } = descend(document.contents, path.match(/[^.[\]]+/g) ?? []);
      const { line, col } = lines.linePos(offset);
      return { line, column: col, depth };
    },
  };
}

function descend(root: unknown, segments: readonly string[]): { offset: number; depth: number } {
  let node = root;
  let offset = offsetOf(node);
  let depth = 0;
  for (const segment of segments) {
    const next = childOf(node, segment);
    if (next === null) break;
    node = next.value;
    offset = next.offset;
    depth++;
  }
  return { offset, depth };
}

/** Keys are written in snake_case or camelCase. */
function childOf(node: unknown, segment: string): { value: unknown; offset: number } | null {
  if (isMap(node)) {
    const camel = segment.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
    for (const pair of node.items) {
      const key = isScalar(pair.key) ? String(pair.key.value) : '';
      if (key === segment || key === camel) return { value: pair.value, offset: offsetOf(pair.key) };
    }
    return null;
  }
  if (!isCollection(node) || !/^\d+$/.test(segment)) return null;
  const item: unknown = node.items[Number(segment)];
  return item === undefined ? null : { value: item, offset: offsetOf(item) };
}

function offsetOf(node: unknown): number {
  const range = (node as { range?: readonly number[] | null } | null)?.range;
  return range?.[0] ?? 0;
}
