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
import { parsePlainJson } from './plain-json.ts';
import type { UnsupportedFields } from './verdict.ts';
import type { Place, YamlText } from './yaml-text.ts';

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

/** Design §6, Trust: a cap on what one file may make of us. */
const maxBytes = 64 * 1024 * 1024;

/** Later sources are merged into earlier ones: maps by key, everything else replaced. */
export function loadBootstrap(sources: readonly BootstrapSource[], mode: UnsupportedFields): LoadedBootstrap {
  const merged = sources.map(readSource).reduce(merge, {});
  const report = new UnhonouredReport();
  let bootstrap: Bootstrap;
  try {
    bootstrap = parseJsonMessage(BootstrapTable, merged, report);
  } catch (error) {
    if (!(error instanceof XdsJsonError)) throw error;
    const place = placesIn(sources);
    throw new BootstrapError(error.problems.map(({ path, problem }) => `${place(path)}${path}: ${problem}`));
  }
  if (report.entries.length === 0) return { bootstrap, warnings: [] };
  const place = placesIn(sources);
  const lines = report.entries.map((entry) => `${place(entry.path)}${describeUnhonoured(entry)}`);
  if (mode === 'reject') throw new BootstrapError(lines);
  return { bootstrap, warnings: lines };
}

function readSource(source: BootstrapSource): JsonValue {
  if (source.text.length > maxBytes)
    throw new BootstrapError([`${source.name}: larger than ${maxBytes} bytes`]);
  const value = parsePlainJson(source.text) ?? valueOfYaml(source);
  if (value === null) return {};
  if (typeof value !== 'object' || Array.isArray(value))
    throw new BootstrapError([`${source.name}: must be a mapping`]);
  return value;
}

function valueOfYaml({ name, text }: BootstrapSource): JsonValue {
  const { value, problems } = parseYaml(text);
  if (problems.length > 0) throw new BootstrapError(problems.map((problem) => `${name}:${problem}`));
  return value;
}

/** Loads the parser on first use. */
function parseYaml(text: string): YamlText {
  const loaded = require('./yaml-text.ts') as typeof import('./yaml-text.ts');
  return loaded.parseYaml(text);
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

/** `file:line:col: ` of the nearest node that a proto path leads to, in the source that knows most of it. */
function placesIn(sources: readonly BootstrapSource[]): (path: string) => string {
  const texts = sources.map(({ name, text }) => ({ name, yaml: parseYaml(text) }));
  return (path) => {
    let best: { name: string; place: Place } | null = null;
    for (const { name, yaml } of texts) {
      const place = yaml.place(path);
      if (best === null || place.depth >= best.place.depth) best = { name, place };
    }
    return best === null ? '' : `${best.name}:${best.place.line}:${best.place.column}: `;
  };
}
