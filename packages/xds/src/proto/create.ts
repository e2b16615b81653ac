/** Messages made in code rather than decoded: defaults first, then what is given, at every depth. */
import { emptyList, emptyMap, type FieldTable, type MessageTable } from './table.ts';
import type { Init } from './values.ts';

type Fields = Readonly<Record<string, unknown>>;

/** A complete message, equal to what decoding its bytes would give. Values are taken, not copied. */
export function createMessage<T extends object>(table: MessageTable<T>, init: Init<T>): T {
  return complete(table, init as Fields) as T;
}

function complete(table: MessageTable<object>, init: Fields): Record<string, unknown> {
  const message = table.create();
  for (const field of table.fields) {
    const value = init[field.property];
    if (value !== undefined) message[field.property] = completeField(field, value);
  }
  return message;
}

function completeField(field: FieldTable, value: unknown): unknown {
  if (field.shape === 'list') {
    const list = value as readonly unknown[];
    if (list.length === 0) return emptyList;
    return field.message === undefined
      ? list
      : list.map((element) => complete(field.message as MessageTable<object>, element as Fields));
  }
  if (field.shape === 'map') {
    const entries = Object.entries(value as Fields);
    if (entries.length === 0) return emptyMap;
    const map = Object.create(null) as Record<string, unknown>;
    for (const [key, element] of entries) map[key] = completeSingle(field, element);
    return map;
  }
  return completeSingle(field, value);
}

function completeSingle(field: FieldTable, value: unknown): unknown {
  return field.message === undefined ? value : complete(field.message, value as Fields);
}
