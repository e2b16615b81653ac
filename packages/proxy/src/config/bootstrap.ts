/**
 * The bootstrap: an Envoy bootstrap file in YAML or JSON, with `--config-yaml` laid over it. All mistakes
 * are reported at once, each with its proto path and, where the file says so, line and column.
 */
import {
  BootstrapTable,
  describeUnhonoured,
  parseJsonMessage,
  UnhonouredReport,
  XdsJsonError,
  type Bootstrap,
  type JsonValue,
} from '@sluice/xds';
import { isCollection, isMap, isScalar, LineCounter, parseDocument, type Document } from 'yaml';
import type { UnsupportedFields } from './verdict.ts';

export interface BootstrapSource {
  /** For messages: the file's name, or `--config-yaml`. */
  readonly name: string;
  readonly text: string;
}

export interface LoadedBootstrap {
  readonly bootstrap: Bootstrap;
  /** Fields of the bootstrap that have no effect (`warn`). */
  readonly warnings: readonly string[];
}

/** `problems` are whole lines for a person: `file.yaml:3:5: static_resources.listeners[0].name: …`. */
export class BootstrapError extends Error {
  override readonly name = 'BootstrapError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.problems = problems;
  }
}

/** Design §6, Trust: caps on what one file may make of us. */
const maxBytes = 64 * 1024 * 1024;
const maxAliases = 1_000;

/** Later sources are merged into earlier ones: maps by key, everything else replaced. */
export function loadBootstrap(sources: readonly BootstrapSource[], mode: UnsupportedFields): LoadedBootstrap {
  const files = sources.map(parseFile);
  const merged = files.map((file) => file.value).reduce(merge, {});
  const report = new UnhonouredReport();
  let bootstrap: Bootstrap;
  try {
    bootstrap = parseJsonMessage(BootstrapTable, merged, report);
  } catch (error) {
    if (!(error instanceof XdsJsonError)) throw error;
    throw new BootstrapError(
      error.problems.map(({ path, problem }) => `${place(files, path)}${path}: ${problem}`),
    );
  }
  const lines = report.entries.map((entry) => `${place(files, entry.path)}${describeUnhonoured(entry)}`);
  if (mode === 'reject' && lines.length > 0) throw new BootstrapError(lines);
  return { bootstrap, warnings: lines };
}

interface ParsedFile {
  readonly source: BootstrapSource;
  readonly document: Document;
  readonly lines: LineCounter;
  readonly value: JsonValue;
}

function parseFile(source: BootstrapSource): ParsedFile {
  if (source.text.length > maxBytes)
    throw new BootstrapError([`${source.name}: larger than ${maxBytes} bytes`]);
  const lines = new LineCounter();
  // JSON is YAML, so one parser reads both and knows positions in both.
  const document = parseDocument(source.text, {
    lineCounter: lines,
    prettyErrors: false,
    uniqueKeys: true,
    merge: true,
  });
  if (document.errors.length > 0) {
    throw new BootstrapError(
      document.errors.map((error) => {
        const { line, col } = lines.linePos(error.pos[0]);
        return `${source.name}:${line}:${col}: ${error.message}`;
      }),
    );
  }
  const value: unknown = document.toJS({ maxAliasCount: maxAliases });
  if (value === null) return { source, document, lines, value: {} };
  if (typeof value !== 'object' || Array.isArray(value))
    throw new BootstrapError([`${source.name}: must be a mapping`]);
  return { source, document, lines, value: value as JsonValue };
}

function merge(below: JsonValue, above: JsonValue): JsonValue {
  if (!isPlainObject(below) || !isPlainObject(above)) return above;
  const merged: Record<string, JsonValue> = { ...below };
  for (const [key, value] of Object.entries(above)) {
    if (key === '__proto__') continue;
    const old = merged[key];
    merged[key] = old === undefined ? value : merge(old, value);
  }
  return merged;
}

function isPlainObject(value: JsonValue): value is { readonly [key: string]: JsonValue } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** `file:line:col: ` of the nearest node that a proto path leads to. */
function place(files: readonly ParsedFile[], path: string): string {
  const segments = path.match(/[^.[\]]+/g) ?? [];
  let best: { file: ParsedFile; offset: number; depth: number } | null = null;
  for (const file of files) {
    const found = descend(file, segments);
    if (best === null || found.depth >= best.depth) best = { file, ...found };
  }
  if (best === null) return '';
  const { line, col } = best.file.lines.linePos(best.offset);
  return `${best.file.source.name}:${line}:${col}: `;
}

function descend(file: ParsedFile, segments: readonly string[]): { offset: number; depth: number } {
  let node: unknown = file.document.contents;
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
