/**
 * Bytes to message, by table.
 *
 * Configuration comes from a control plane that may be foreign, old or hostile: depth, bytes and number of
 * messages are limited, nothing loops without consuming input, and every field that is set and not honoured
 * is reported by its path. Repeated occurrences follow Protobuf: messages merge, scalars take the last.
 */
import {
  decodeDuration,
  decodeStruct,
  decodeStructValue,
  decodeList,
  type StructReader,
} from './decode-known.ts';
import { formatPath, keySegment } from './path.ts';
import { WireReader, wireBytes } from './reader.ts';
import type { UnhonouredReport } from './report.ts';
import {
  defaultOf,
  emptyList,
  emptyMap,
  type FieldTable,
  type MessageTable,
  type ScalarKind,
} from './table.ts';
import { typeNameOf, type Any } from './values.ts';
import { scalarWireType } from './wire-type.ts';

export interface DecodeLimits {
  readonly maxBytes: number;
  readonly maxDepth: number;
  /** Two bytes on the wire can make an object of hundreds: the number of objects is bounded by itself. */
  readonly maxMessages: number;
}

export const defaultDecodeLimits: DecodeLimits = {
  maxBytes: 256 * 1024 * 1024,
  maxDepth: 100, // Protobuf's own default.
  maxMessages: 4_000_000,
};

/**
 * Decodes a message. Throws XdsDecodeError and nothing else. Undecoded Any values are views of `bytes`;
 * everything else is independent of it.
 */
export function decodeMessage<T extends object>(
  table: MessageTable<T>,
  bytes: Uint8Array,
  report?: UnhonouredReport,
  limits: DecodeLimits = defaultDecodeLimits,
): T {
  const decoder = new Decoder(bytes, report, limits);
  return decoder.message(table, table.create(), bytes.length) as T;
}

class Decoder extends WireReader implements StructReader {
  readonly #report: UnhonouredReport | undefined;
  readonly #limits: DecodeLimits;
  #depth = 0;
  #messages = 0;

  constructor(bytes: Uint8Array, report: UnhonouredReport | undefined, limits: DecodeLimits) {
    super(bytes);
    this.#report = report;
    this.#limits = limits;
    if (bytes.length > limits.maxBytes) this.fail('too-large', `more than ${limits.maxBytes} bytes`);
  }

  enter(): void {
    if (++this.#depth > this.#limits.maxDepth)
      this.fail('too-deep', `nested more than ${this.#limits.maxDepth} deep`);
    if (++this.#messages > this.#limits.maxMessages) {
      this.fail('too-large', `more than ${this.#limits.maxMessages} nested messages`);
    }
  }

  leave(): void {
    this.#depth--;
  }

  message(
    table: MessageTable<object>,
    target: Record<string, unknown>,
    end: number,
  ): Record<string, unknown> {
    this.enter();
    while (this.pos < end) {
      const tag = this.uint32(end);
      const number = tag >>> 3;
      const field = table.field(number);
      if (field === undefined) this.#unhonoured(table, number, tag & 7, end);
      else if (field.shape === 'single') this.#single(table, field, target, tag & 7, end);
      else if (field.shape === 'list') this.#list(table, field, target, tag & 7, end);
      else this.#mapEntry(table, field, target, tag & 7, end);
    }
    this.leave();
    return target;
  }

  #single(
    table: MessageTable<object>,
    field: FieldTable,
    target: Record<string, unknown>,
    wireType: number,
    end: number,
  ): void {
    for (const sibling of field.siblings) if (sibling in target) delete target[sibling];
    const previous = target[field.property];
    this.path.push(field.name);
    const value = this.#value(table, field, previous, wireType, end);
    if (value !== undefined) target[field.property] = value;
    this.path.pop();
  }

  #list(
    table: MessageTable<object>,
    field: FieldTable,
    target: Record<string, unknown>,
    wireType: number,
    end: number,
  ): void {
    let list = target[field.property] as unknown[];
    if (Object.is(list, emptyList)) target[field.property] = list = [];
    this.path.push(field.name);
    if (wireType === wireBytes && isPackable(field)) {
      const stop = this.lengthEnd(end);
      while (this.pos < stop) this.#element(table, field, list, naturalWireType(field), stop);
    } else {
      this.#element(table, field, list, wireType, end);
    }
    this.path.pop();
  }

  #element(
    table: MessageTable<object>,
    field: FieldTable,
    list: unknown[],
    wireType: number,
    end: number,
  ): void {
    this.path.push(list.length);
    const value = this.#value(table, field, undefined, wireType, end);
    if (value !== undefined) list.push(value);
    this.path.pop();
  }

  /** Key and value may come in either order, so the value waits until the key (which its path needs) is known. */
  #mapEntry(
    table: MessageTable<object>,
    field: FieldTable,
    target: Record<string, unknown>,
    wireType: number,
    end: number,
  ): void {
    this.path.push(field.name);
    if (wireType !== wireBytes) this.#wrongWireType(wireType);
    const stop = this.lengthEnd(end);
    let key = String(defaultOf(field.keyKind, undefined));
    let valueAt = -1;
    let valueWireType = wireBytes;
    this.enter();
    while (this.pos < stop) {
      const tag = this.uint32(stop);
      if (tag >>> 3 === 1) {
        if ((tag & 7) !== scalarWireType(field.keyKind)) this.#wrongWireType(tag & 7);
        key = String(this.#scalar(field.keyKind, stop));
        continue;
      }
      if (tag >>> 3 === 2) {
        valueAt = this.pos;
        valueWireType = tag & 7;
      }
      this.skip(tag & 7, stop);
    }
    this.path.push(keySegment(key));
    const value =
      valueAt < 0 ? this.#absentMapValue(field) : this.#valueAt(table, field, valueAt, valueWireType, stop);
    let map = target[field.property] as Record<string, unknown>;
    if (map === emptyMap) target[field.property] = map = Object.create(null) as Record<string, unknown>;
    if (value !== undefined) map[key] = value;
    this.leave();
    this.path.pop();
    this.path.pop();
  }

  #valueAt(
    table: MessageTable<object>,
    field: FieldTable,
    at: number,
    wireType: number,
    stop: number,
  ): unknown {
    this.pos = at;
    const value = this.#value(table, field, undefined, wireType, stop);
    this.pos = stop;
    return value;
  }

  #absentMapValue(field: FieldTable): unknown {
    switch (field.kind) {
      case 'm':
        return field.message?.create();
      case 'A':
        return { typeUrl: '', value: new Uint8Array(0) };
      case 'S':
        return Object.create(null);
      case 'V':
        return null;
      case 'L':
        return [];
      default:
        return defaultOf(field.kind === 'w' ? field.scalar : field.kind, field.enumTable);
    }
  }

  /** undefined: reported instead of decoded. */
  #value(
    table: MessageTable<object>,
    field: FieldTable,
    previous: unknown,
    wireType: number,
    end: number,
  ): unknown {
    if (wireType !== naturalWireType(field)) this.#wrongWireType(wireType);
    switch (field.kind) {
      case 'm':
        return this.#nested(field, previous, end);
      case 'e':
        return this.#enum(table, field, end);
      case 'A':
        return this.#any(table, end);
      case 'R':
        return this.view(end);
      case 'w':
        return this.#wrapped(field, end);
      case 'D':
        return decodeDuration(this, this.lengthEnd(end));
      case 'S':
        return decodeStruct(this, this.lengthEnd(end));
      case 'V':
        return decodeStructValue(this, this.lengthEnd(end));
      case 'L':
        return decodeList(this, this.lengthEnd(end));
      default:
        return this.#scalar(field.kind, end);
    }
  }

  #nested(field: FieldTable, previous: unknown, end: number): unknown {
    const table = field.message as MessageTable<object>;
    const target = previous === undefined ? table.create() : (previous as Record<string, unknown>);
    return this.message(table, target, this.lengthEnd(end));
  }

  #enum(table: MessageTable<object>, field: FieldTable, end: number): string | undefined {
    const number = this.int32(end);
    const name = field.enumTable?.nameOf.get(number);
    if (name === undefined) {
      this.#report?.add({
        path: formatPath(this.path),
        reason: 'unknown-enum-value',
        messageType: table.typeName,
        detail: String(number),
      });
    }
    return name;
  }

  #wrapped(field: FieldTable, end: number): unknown {
    const stop = this.lengthEnd(end);
    let value = defaultOf(field.scalar, undefined);
    while (this.pos < stop) {
      const tag = this.uint32(stop);
      if (tag >>> 3 !== 1) this.skip(tag & 7, stop);
      else if ((tag & 7) !== scalarWireType(field.scalar)) this.#wrongWireType(tag & 7);
      else value = this.#scalar(field.scalar, stop);
    }
    return value;
  }

  #any(table: MessageTable<object>, end: number): Any {
    const stop = this.lengthEnd(end);
    let typeUrl = '';
    let valueStart = stop;
    let valueEnd = stop;
    while (this.pos < stop) {
      const tag = this.uint32(stop);
      if (tag === anyTypeUrlTag) typeUrl = this.string(stop);
      else if (tag === anyValueTag) {
        valueEnd = this.lengthEnd(stop);
        valueStart = this.pos;
        this.pos = valueEnd;
      } else this.skip(tag & 7, stop);
    }
    const inner = table.registry.byTypeUrl(typeUrl);
    if (inner === undefined) {
      this.#report?.add({
        path: formatPath(this.path),
        reason: 'unknown-type',
        messageType: table.typeName,
        detail: typeNameOf(typeUrl),
      });
      return { typeUrl, value: this.bytes.slice(valueStart, valueEnd) };
    }
    this.pos = valueStart;
    const value = this.message(inner, inner.create(), valueEnd);
    this.pos = stop;
    return { typeUrl: typeUrl === inner.typeUrl ? inner.typeUrl : typeUrl, value };
  }

  #scalar(kind: ScalarKind | 'e' | 'm' | 'w' | 'A' | 'R' | 'D' | 'S' | 'V' | 'L', end: number): unknown {
    switch (kind) {
      case 's':
        return this.string(end);
      case 'b':
        return this.bool(end);
      case 'u':
        return this.uint32(end);
      case 'i':
        return this.int32(end);
      case 'U':
        return this.uint64(end);
      case 'I':
        return this.int64(end);
      case 'd':
        return this.float64(end);
      case 'f':
        return this.float32(end);
      case 'B':
        return this.view(end).slice();
      case 'z':
        return this.sint32(end);
      case 'Z':
        return this.sint64(end);
      case 'x':
        return this.fixed32(end);
      case 'X':
        return this.fixed64(end);
      case 'y':
        return this.sfixed32(end);
      case 'Y':
        return this.sfixed64(end);
      default:
        throw new Error(`generated tables have a scalar of kind ${kind}`);
    }
  }

  #unhonoured(table: MessageTable<object>, number: number, wireType: number, end: number): void {
    if (number === 0) this.fail('malformed', 'a field with number 0');
    this.skip(wireType, end);
    if (this.#report === undefined) return;
    const known = table.knownField(number);
    this.#report.add({
      path: formatPath(this.path, known?.name ?? `<field ${number}>`),
      reason: known === undefined ? 'unknown-field' : 'field',
      messageType: table.typeName,
      detail: known === undefined ? String(number) : '',
    });
  }

  #wrongWireType(wireType: number): never {
    this.fail('malformed', `wire type ${wireType} does not fit the field`);
  }
}

const anyTypeUrlTag = (1 << 3) | wireBytes;
const anyValueTag = (2 << 3) | wireBytes;

function isPackable(field: FieldTable): boolean {
  return naturalWireType(field) !== wireBytes;
}

function naturalWireType(field: FieldTable): number {
  return field.kind === 'w' ? wireBytes : scalarWireType(field.kind);
}
