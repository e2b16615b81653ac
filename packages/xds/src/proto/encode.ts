/**
 * Message to bytes, by table. Equal messages give equal bytes: fields in the order of their numbers, map
 * entries in the order of their keys. Whatever is left out counts as unset, at every depth.
 *
 * Values that do not fit their field are mistakes of our own code and throw TypeError.
 */
import { encodeDuration, encodeList, encodeStruct, encodeStructValue } from './encode-known.ts';
import { wireBytes } from './reader.ts';
import { scalarWireType } from './wire-type.ts';
import { defaultOf, type FieldTable, type MessageTable, type ScalarKind } from './table.ts';
import type { Any, Init, JsonArray, JsonObject, JsonValue } from './values.ts';
import { WireWriter } from './writer.ts';

type Fields = Readonly<Record<string, unknown>>;

export function encodeMessage<T extends object>(table: MessageTable<T>, message: Init<T>): Uint8Array {
  const writer = new WireWriter();
  writeMessage(writer, table, message as Fields);
  return writer.finish();
}

/** The bytes of a `google.protobuf.Any` that holds the message. */
export function encodeAny<T extends object>(table: MessageTable<T>, message: Init<T>): Uint8Array {
  const writer = new WireWriter();
  writeAny(writer, table, { typeUrl: table.typeUrl, value: message as object });
  return writer.finish();
}

function writeMessage(writer: WireWriter, table: MessageTable<object>, message: Fields): void {
  for (const field of table.fields) {
    const value = message[field.property];
    if (value === undefined) continue;
    if (field.shape === 'list') writeList(writer, table, field, value as readonly unknown[]);
    else if (field.shape === 'map') writeMap(writer, table, field, value as Fields);
    else if (field.hasPresence || !isDefault(field, value))
      writeField(writer, table, field, field.number, value);
  }
}

function writeList(
  writer: WireWriter,
  table: MessageTable<object>,
  field: FieldTable,
  list: readonly unknown[],
): void {
  if (list.length === 0) return;
  if (field.kind === 'w' || scalarWireType(field.kind) === wireBytes) {
    for (const value of list) writeField(writer, table, field, field.number, value);
    return;
  }
  writer.tag(field.number, wireBytes);
  const mark = writer.startLength();
  for (const value of list) writeValue(writer, table, field, value);
  writer.endLength(mark);
}

function writeMap(writer: WireWriter, table: MessageTable<object>, field: FieldTable, map: Fields): void {
  for (const key of Object.keys(map).sort()) {
    writer.tag(field.number, wireBytes);
    const mark = writer.startLength();
    writer.tag(1, scalarWireType(field.keyKind));
    writeScalar(writer, field.keyKind, keyValue(field.keyKind, key));
    writeField(writer, table, field, 2, map[key]);
    writer.endLength(mark);
  }
}

/** Object keys are strings; Protobuf's may be numbers or booleans. */
function keyValue(kind: ScalarKind, key: string): unknown {
  if (kind === 's') return key;
  return kind === 'b' ? key === 'true' : Number(key);
}

function writeField(
  writer: WireWriter,
  table: MessageTable<object>,
  field: FieldTable,
  number: number,
  value: unknown,
): void {
  writer.tag(number, field.kind === 'w' ? wireBytes : scalarWireType(field.kind));
  writeValue(writer, table, field, value);
}

function writeValue(
  writer: WireWriter,
  table: MessageTable<object>,
  field: FieldTable,
  value: unknown,
): void {
  switch (field.kind) {
    case 'e':
      writer.int32(enumNumber(table, field, value));
      return;
    case 'R':
      writer.bytes(value as Uint8Array);
      return;
    case 'm':
    case 'A':
    case 'w':
    case 'D':
    case 'S':
    case 'V':
    case 'L': {
      const mark = writer.startLength();
      writeNested(writer, table, field, value);
      writer.endLength(mark);
      return;
    }
    default:
      writeScalar(writer, field.kind, value);
  }
}

function writeNested(
  writer: WireWriter,
  table: MessageTable<object>,
  field: FieldTable,
  value: unknown,
): void {
  if (field.kind === 'm') writeMessage(writer, field.message as MessageTable<object>, value as Fields);
  else if (field.kind === 'A') writeAny(writer, table, value as Any);
  else if (field.kind === 'w') writeWrapped(writer, field, value);
  else if (field.kind === 'S') encodeStruct(writer, value as JsonObject);
  else if (field.kind === 'V') encodeStructValue(writer, value as JsonValue);
  else if (field.kind === 'L') encodeList(writer, value as JsonArray);
  else encodeDuration(writer, value as number);
}

function writeWrapped(writer: WireWriter, field: FieldTable, value: unknown): void {
  if (value === defaultOf(field.scalar, undefined)) return;
  if (field.scalar === 'B' && (value as Uint8Array).length === 0) return;
  writer.tag(1, scalarWireType(field.scalar));
  writeScalar(writer, field.scalar, value);
}

function writeAny(writer: WireWriter, table: MessageTable<object>, any: Any): void {
  if (any.typeUrl !== '') {
    writer.tag(1, wireBytes);
    writer.string(any.typeUrl);
  }
  if (any.value instanceof Uint8Array) {
    if (any.value.length === 0) return;
    writer.tag(2, wireBytes);
    writer.bytes(any.value);
    return;
  }
  const inner = table.registry.byTypeUrl(any.typeUrl);
  if (inner === undefined) throw new TypeError(`an Any of type ${any.typeUrl} must be given as bytes`);
  const before = writer.position;
  writer.tag(2, wireBytes);
  const mark = writer.startLength();
  writeMessage(writer, inner, any.value as Fields);
  if (writer.position === mark) writer.truncate(before);
  else writer.endLength(mark);
}

function writeScalar(writer: WireWriter, kind: FieldTable['kind'], value: unknown): void {
  switch (kind) {
    case 's':
      writer.string(value as string);
      return;
    case 'b':
      writer.uint32(value === true ? 1 : 0);
      return;
    case 'B':
      writer.bytes(value as Uint8Array);
      return;
    default:
      writeNumber(writer, kind, value as number);
  }
}

function writeNumber(writer: WireWriter, kind: FieldTable['kind'], value: number): void {
  switch (kind) {
    case 'u':
      writer.uint32(value);
      return;
    case 'i':
      writer.int32(value);
      return;
    case 'U':
      writer.uint64(value);
      return;
    case 'I':
      writer.int64(value);
      return;
    case 'd':
      writer.float64(value);
      return;
    case 'f':
      writer.float32(value);
      return;
    case 'z':
      writer.sint32(value);
      return;
    case 'Z':
      writer.sint64(value);
      return;
    case 'x':
    case 'y':
      writer.fixed32(value);
      return;
    case 'X':
    case 'Y':
      writer.fixed64(value);
      return;
    default:
      throw new Error(`generated tables have a number of kind ${kind}`);
  }
}

function enumNumber(table: MessageTable<object>, field: FieldTable, value: unknown): number {
  const number = field.enumTable?.numberOf.get(value as string);
  if (number === undefined)
    throw new TypeError(`${table.typeName}.${field.name} has no value ${String(value)}`);
  return number;
}

function isDefault(field: FieldTable, value: unknown): boolean {
  if (field.kind === 'B') return (value as Uint8Array).length === 0;
  // Negative zero is not the default: its bits differ.
  return Object.is(value, defaultOf(field.kind, field.enumTable));
}
