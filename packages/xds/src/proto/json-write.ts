/** Message to JSON, by table, as Envoy's admin prints it: proto names, unset and default values left out. */
import { durationToJson, scalarToJson } from './json-scalar.ts';
import { defaultOf, type FieldTable, type MessageTable } from './table.ts';
import type { Any, JsonObject, JsonValue } from './values.ts';

export interface ToJsonOptions {
  /** `proto` (the default) writes `connect_timeout`, as Envoy does; `json` writes `connectTimeout`. */
  readonly names?: 'proto' | 'json';
}

export function toJson<T extends object>(
  table: MessageTable<T>,
  message: T,
  options: ToJsonOptions = {},
): JsonObject {
  return writeMessage(table, message as Readonly<Record<string, unknown>>, options.names === 'json');
}

type MutableJson = Record<string, JsonValue>;

function writeMessage(
  table: MessageTable<object>,
  message: Readonly<Record<string, unknown>>,
  useJsonNames: boolean,
): MutableJson {
  const json: MutableJson = {};
  for (const field of table.fields) {
    const value = message[field.property];
    if (value === undefined) continue;
    const name = useJsonNames ? field.property : field.name;
    if (field.shape === 'list') {
      const list = value as readonly unknown[];
      if (list.length > 0)
        json[name] = list.map((element) => writeValue(table, field, element, useJsonNames));
    } else if (field.shape === 'map') {
      const map = writeMap(table, field, value as Readonly<Record<string, unknown>>, useJsonNames);
      if (map !== undefined) json[name] = map;
    } else if (field.hasPresence || !isDefault(field, value)) {
      json[name] = writeValue(table, field, value, useJsonNames);
    }
  }
  return json;
}

function writeMap(
  table: MessageTable<object>,
  field: FieldTable,
  map: Readonly<Record<string, unknown>>,
  useJsonNames: boolean,
): JsonObject | undefined {
  const keys = Object.keys(map).sort();
  if (keys.length === 0) return undefined;
  const json = Object.create(null) as MutableJson;
  for (const key of keys) json[key] = writeValue(table, field, map[key], useJsonNames);
  return json;
}

function writeValue(
  table: MessageTable<object>,
  field: FieldTable,
  value: unknown,
  useJsonNames: boolean,
): JsonValue {
  switch (field.kind) {
    case 'm':
      return writeMessage(
        field.message as MessageTable<object>,
        value as Readonly<Record<string, unknown>>,
        useJsonNames,
      );
    case 'A':
      return writeAny(table, value as Any, useJsonNames);
    case 'R':
      return scalarToJson('B', value);
    case 'D':
      return durationToJson(value as number);
    case 'e':
      return value as string;
    case 'S':
    case 'V':
    case 'L':
      return value as JsonValue;
    default:
      return scalarToJson(field.scalar, value);
  }
}

function writeAny(table: MessageTable<object>, any: Any, useJsonNames: boolean): JsonObject {
  const inner = table.registry.byTypeUrl(any.typeUrl);
  if (any.value instanceof Uint8Array || inner === undefined) {
    return { '@type': any.typeUrl, value: scalarToJson('B', any.value) };
  }
  return {
    '@type': any.typeUrl,
    ...writeMessage(inner, any.value as Readonly<Record<string, unknown>>, useJsonNames),
  };
}

function isDefault(field: FieldTable, value: unknown): boolean {
  if (field.kind === 'B') return (value as Uint8Array).length === 0;
  return value === defaultOf(field.kind, field.enumTable);
}
