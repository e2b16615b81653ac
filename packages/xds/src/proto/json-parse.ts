/**
 * JSON to message, by table: proto3's JSON mapping as Envoy's bootstrap files use it.
 *
 * The reader is a person with a file, so all mistakes are collected, each with its path, and an unknown
 * field names the nearest known one. Both `snake_case` and `camelCase` names are taken. Fields that exist
 * in Envoy's API and are not honoured are no mistake: they go into the report, as they do for bytes.
 */
import { nearestName } from '@sluice/runtime';
import { JsonMismatch, durationFromJson, keyFromJson, scalarFromJson } from './json-scalar.ts';
import { formatPath, keySegment, type PathSegment } from './path.ts';
import type { UnhonouredReason, UnhonouredReport } from './report.ts';
import { emptyMap, propertyName, type FieldTable, type MessageTable } from './table.ts';
import { typeNameOf, type Any, type JsonValue } from './values.ts';

export interface JsonProblem {
  /** Proto path within the message; empty for the message itself. */
  readonly path: string;
  readonly problem: string;
}

export class XdsJsonError extends Error {
  override readonly name = 'XdsJsonError';
  readonly problems: readonly JsonProblem[];

  constructor(problems: readonly JsonProblem[]) {
    super(problems.map(({ path, problem }) => (path === '' ? problem : `${path}: ${problem}`)).join('\n'));
    this.problems = problems;
  }
}

/** `json` as JSON.parse or a YAML parser returns it. Throws XdsJsonError with all problems. */
export function parseJsonMessage<T extends object>(
  table: MessageTable<T>,
  json: unknown,
  report?: UnhonouredReport,
): T {
  const parser = new JsonParser(report);
  const message = parser.message(table, json);
  if (parser.problems.length > 0) throw new XdsJsonError(parser.problems);
  return message as T;
}

type Fields = Record<string, unknown>;

const maxDepth = 100;
const maxProblems = 100;

class JsonParser {
  readonly problems: JsonProblem[] = [];
  readonly #report: UnhonouredReport | undefined;
  readonly #path: PathSegment[] = [];
  #depth = 0;

  constructor(report: UnhonouredReport | undefined) {
    this.#report = report;
  }

  message(table: MessageTable<object>, json: unknown, ignoredKey?: string): Fields {
    const target = table.create();
    if (!isObject(json)) {
      this.#problem('expected an object');
    } else if (this.#depth >= maxDepth) {
      this.#problem(`nested more than ${maxDepth} deep`);
    } else {
      this.#depth++;
      const seen = new Map<FieldTable, string>();
      for (const key of Object.keys(json)) {
        if (key !== ignoredKey) this.#member(table, target, key, json[key], seen);
      }
      this.#checkOneofs([...seen.keys()]);
      this.#depth--;
    }
    return target;
  }

  #member(
    table: MessageTable<object>,
    target: Fields,
    key: string,
    json: unknown,
    seen: Map<FieldTable, string>,
  ): void {
    const field = table.fieldNamed(key);
    if (field === undefined) {
      this.#unhonoured(table, key, json);
      return;
    }
    const earlier = seen.get(field);
    if (earlier !== undefined) this.#problem(`given twice, as ${earlier} and ${key}`, field.name);
    if (json === undefined || (json === null && field.kind !== 'V')) return;
    seen.set(field, key);
    this.#path.push(field.name);
    if (field.shape === 'list') this.#list(table, field, target, json);
    else if (field.shape === 'map') this.#map(table, field, target, json);
    else this.#store(target, field.property, this.#value(table, field, json));
    this.#path.pop();
  }

  #list(table: MessageTable<object>, field: FieldTable, target: Fields, json: unknown): void {
    if (!Array.isArray(json)) {
      this.#problem('expected a list');
      return;
    }
    const list: unknown[] = [];
    for (const [index, element] of json.entries()) {
      this.#path.push(index);
      const value =
        element === null && field.kind !== 'V'
          ? this.#problem('null in a list')
          : this.#value(table, field, element);
      if (value !== undefined) list.push(value);
      this.#path.pop();
    }
    if (list.length > 0) target[field.property] = list;
  }

  #map(table: MessageTable<object>, field: FieldTable, target: Fields, json: unknown): void {
    if (!isObject(json)) {
      this.#problem('expected an object');
      return;
    }
    const map = Object.create(null) as Fields;
    for (const name of Object.keys(json)) {
      this.#path.push(keySegment(name));
      const key = keyFromJson(field.keyKind, name);
      if (key instanceof JsonMismatch) this.#problem(`expected ${key.expected}`);
      else this.#store(map, key, this.#value(table, field, json[name]));
      this.#path.pop();
    }
    target[field.property] = Object.keys(map).length > 0 ? map : emptyMap;
  }

  #store(target: Fields, key: string, value: unknown): void {
    if (value !== undefined) target[key] = value;
  }

  /** undefined: a problem or a report took its place. */
  #value(table: MessageTable<object>, field: FieldTable, json: unknown): unknown {
    switch (field.kind) {
      case 'm':
        return this.message(field.message as MessageTable<object>, json);
      case 'e':
        return this.#enum(table, field, json);
      case 'A':
        return this.#any(table, json);
      case 'R':
        return this.#problem('cannot be given as JSON');
      case 'D':
        return this.#checked(durationFromJson(json));
      case 'S':
        return isObject(json) ? this.#free(json) : this.#problem('expected an object');
      case 'V':
        return this.#free(json);
      case 'L':
        return Array.isArray(json) ? this.#free(json) : this.#problem('expected a list');
      default:
        return this.#checked(scalarFromJson(field.scalar, json));
    }
  }

  #checked(value: unknown): unknown {
    return value instanceof JsonMismatch ? this.#problem(`expected ${value.expected}`) : value;
  }

  #enum(table: MessageTable<object>, field: FieldTable, json: unknown): string | undefined {
    const names = field.enumTable?.numberOf ?? new Map<string, number>();
    if (typeof json === 'string') {
      if (names.has(json)) return json;
      const nearest = nearestName(json, names.keys());
      return this.#problem(
        `${JSON.stringify(json)} is none of its values${nearest === undefined ? `: ${[...names.keys()].join(', ')}` : `; did you mean ${nearest}?`}`,
      );
    }
    if (typeof json !== 'number' || !Number.isInteger(json))
      return this.#problem('expected the name of a value');
    const name = field.enumTable?.nameOf.get(json);
    if (name === undefined) this.#reportAt('unknown-enum-value', table, String(json));
    return name;
  }

  #any(table: MessageTable<object>, json: unknown): Any | undefined {
    if (!isObject(json)) return this.#problem('expected an object');
    const typeUrl = json['@type'];
    if (typeof typeUrl !== 'string' || typeUrl === '') return this.#problem('"@type" is missing');
    const inner = table.registry.byTypeUrl(typeUrl);
    if (inner !== undefined) return { typeUrl, value: this.message(inner, json, '@type') };
    // Without its descriptor the JSON cannot become bytes; the report tells the caller to refuse or leave it.
    this.#reportAt('unknown-type', table, typeNameOf(typeUrl));
    return { typeUrl, value: new Uint8Array(0) };
  }

  /** A copy without prototypes, free of what is not JSON (YAML knows dates, big integers and binaries). */
  #free(json: unknown): JsonValue | undefined {
    if (json === null || typeof json === 'string' || typeof json === 'boolean') return json;
    if (typeof json === 'number') return json;
    if (this.#depth >= maxDepth) return this.#problem(`nested more than ${maxDepth} deep`);
    this.#depth++;
    const copy = Array.isArray(json)
      ? this.#freeList(json)
      : isObject(json)
        ? this.#freeObject(json)
        : undefined;
    this.#depth--;
    return copy ?? this.#problem('is not JSON');
  }

  #freeList(list: readonly unknown[]): readonly JsonValue[] {
    return list.map((element, index) => {
      this.#path.push(index);
      const value = this.#free(element) ?? null;
      this.#path.pop();
      return value;
    });
  }

  #freeObject(json: Readonly<Fields>): JsonValue {
    const copy = Object.create(null) as Record<string, JsonValue>;
    for (const key of Object.keys(json)) {
      this.#path.push(keySegment(key));
      copy[key] = this.#free(json[key]) ?? null;
      this.#path.pop();
    }
    return copy;
  }

  #checkOneofs(fields: readonly FieldTable[]): void {
    const chosen = new Map<number, FieldTable>();
    for (const field of fields) {
      if (field.oneof < 0) continue;
      const other = chosen.get(field.oneof);
      if (other !== undefined) this.#problem(`excludes ${other.name}, which is given too`, field.name);
      chosen.set(field.oneof, field);
    }
  }

  #unhonoured(table: MessageTable<object>, key: string, json: unknown): void {
    const known = table.knownFieldNamed(key);
    if (known === undefined) {
      const nearest = nearestName(key, namesOf(table, key));
      this.#problem(
        `${table.typeName} has no such field${nearest === undefined ? '' : `; did you mean ${nearest}?`}`,
        key,
      );
      return;
    }
    if (json === null || json === undefined) return;
    if (known.isImplicitScalar && (json === false || json === 0 || json === '' || json === '0')) return;
    if (Array.isArray(json) && json.length === 0) return;
    this.#path.push(known.name);
    this.#reportAt('field', table, '');
    this.#path.pop();
  }

  #reportAt(reason: UnhonouredReason, table: MessageTable<object>, detail: string): void {
    this.#report?.add({ path: formatPath(this.#path), reason, messageType: table.typeName, detail });
  }

  #problem(problem: string, field?: string): undefined {
    if (this.problems.length < maxProblems)
      this.problems.push({ path: formatPath(this.#path, field), problem });
    return undefined;
  }
}

/** Suggestions come in the spelling that the writer uses. */
function namesOf(table: MessageTable<object>, like: string): string[] {
  const names = [...table.fields, ...table.knownFields].map((field) => field.name);
  return /[A-Z]/.test(like) ? names.map((name) => propertyName(name)) : names;
}

function isObject(value: unknown): value is Readonly<Fields> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
