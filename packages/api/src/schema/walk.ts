/**
 * Walking schemas: beside a value, to find what deserves a warning, and alone, to write the documentation. Both
 * name fields by the same patterns: `spec.http[].match[].headers{}.exact`, `[]` for items of a list, `{}` for
 * values of a map.
 */
import { z } from 'zod';
import type { Path } from '../position.ts';
import { metaOf, type FieldMeta } from './field.ts';

export interface FieldVisit {
  readonly pattern: string;
  readonly path: Path;
  readonly value: unknown;
  readonly meta: FieldMeta;
}

type Schema = z.core.$ZodType;

/** Visits every field that `value` has, parents first; what is below a field for which `visit` returns false is left out. */
export function visitFields(schema: Schema, value: unknown, visit: (field: FieldVisit) => boolean): void {
  walkValue(schema, value, '', [], visit);
}

function walkValue(
  schema: Schema,
  value: unknown,
  pattern: string,
  path: Path,
  visit: (field: FieldVisit) => boolean,
): void {
  const inner = unwrap(schema, value);
  if (inner instanceof z.ZodArray && Array.isArray(value)) {
    for (const [index, item] of value.entries()) {
      walkValue(inner.element, item, `${pattern}[]`, [...path, index], visit);
    }
  } else if (isMapping(value)) {
    for (const [key, member] of Object.entries(value)) {
      const field = memberSchema(inner, key);
      if (field === undefined || member === undefined) continue;
      const memberPattern = inner instanceof z.ZodRecord ? `${pattern}{}` : join(pattern, key);
      const memberPath = [...path, key];
      const goesOn = visit({ pattern: memberPattern, path: memberPath, value: member, meta: metaOf(field) });
      if (goesOn) walkValue(field, member, memberPattern, memberPath, visit);
    }
  }
}

/** The schema that holds at a path of a value, or undefined where the schema says nothing. */
export function schemaAt(schema: Schema, path: readonly PropertyKey[], value: unknown): Schema | undefined {
  let current: Schema | undefined = schema;
  let at = value;
  for (const step of path) {
    if (current === undefined) return undefined;
    const inner: Schema = unwrap(current, at);
    current = inner instanceof z.ZodArray ? inner.element : memberSchema(inner, String(step));
    at = typeof at === 'object' && at !== null ? (at as Record<PropertyKey, unknown>)[step] : undefined;
  }
  return current === undefined ? undefined : unwrap(current, at);
}

/** Names of the fields an object may have here. */
export function fieldNames(schema: Schema | undefined): readonly string[] {
  return schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
}

export interface FieldInfo {
  readonly pattern: string;
  readonly type: string;
  readonly isRequired: boolean;
  readonly meta: FieldMeta;
  readonly depth: number;
}

/** Every field a schema knows, in the order of declaration. */
export function listFields(schema: Schema, pattern = '', depth = 0): FieldInfo[] {
  const inner = unwrapOptional(schema);
  if (inner instanceof z.ZodArray) return listFields(inner.element, `${pattern}[]`, depth);
  if (inner instanceof z.ZodRecord) return listFields(inner.valueType, `${pattern}{}`, depth);
  if (inner instanceof z.ZodUnion)
    return inner.options.flatMap((option) => listFields(option, pattern, depth));
  if (!(inner instanceof z.ZodObject)) return [];
  return Object.entries(inner.shape).flatMap(([name, field]) => {
    const path = join(pattern, name);
    const isRequired = !isOptional(field);
    const own: FieldInfo = { pattern: path, type: typeName(field), isRequired, meta: metaOf(field), depth };
    return [own, ...listFields(field, path, depth + 1)];
  });
}

/** A type as people write it: `list of string`, `one of A, B`. */
export function typeName(schema: Schema): string {
  const inner = unwrapOptional(schema);
  if (inner instanceof z.ZodArray) return `list of ${typeName(inner.element)}`;
  if (inner instanceof z.ZodRecord) return `map of ${typeName(inner.valueType)}`;
  if (inner instanceof z.ZodUnion) return [...new Set(inner.options.map(typeName))].join(' or ');
  if (inner instanceof z.ZodEnum) return `one of ${inner.options.join(', ')}`;
  if (inner instanceof z.ZodLiteral) return [...inner.values].map(String).join(' or ');
  if (inner instanceof z.ZodObject) return 'object';
  if (inner instanceof z.ZodNumber) return inner.format === null ? 'number' : 'integer';
  return inner._zod.def.type === 'unknown' ? 'anything' : inner._zod.def.type;
}

function unwrapOptional(schema: Schema): Schema {
  return isOptional(schema) ? schema._zod.def.innerType : schema;
}

function isOptional(schema: Schema): schema is z.ZodOptional {
  return schema._zod.def.type === 'optional';
}

/** Through optional, and through a union to the alternative that fits the value. */
function unwrap(schema: Schema, value: unknown): Schema {
  const inner = unwrapOptional(schema);
  if (!(inner instanceof z.ZodUnion)) return inner;
  const fitting = inner.options.find((option) => {
    const alternative = unwrapOptional(option);
    if (Array.isArray(value)) return alternative instanceof z.ZodArray;
    return isMapping(value) && (alternative instanceof z.ZodObject || alternative instanceof z.ZodRecord);
  });
  return fitting === undefined ? inner : unwrap(fitting, value);
}

function memberSchema(schema: Schema, key: string): Schema | undefined {
  if (schema instanceof z.ZodObject) return Object.hasOwn(schema.shape, key) ? schema.shape[key] : undefined;
  return schema instanceof z.ZodRecord ? schema.valueType : undefined;
}

function join(pattern: string, name: string): string {
  return pattern === '' ? name : `${pattern}.${name}`;
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
