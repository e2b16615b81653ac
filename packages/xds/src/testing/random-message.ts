/** Random messages of any table, for property tests: whatever the table allows, kept to a modest depth. */
import { encodeAny } from '../proto/encode.ts';
import { defaultOf, type FieldTable, type MessageTable, type ScalarKind } from '../proto/table.ts';
import { registry } from '../gen/tables.ts';
import type { JsonValue } from '../proto/values.ts';

type Fields = Record<string, unknown>;

const maxMessageDepth = 4;

export class MessageGenerator {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  message(table: MessageTable<object>, depth = 0): Fields {
    const message = table.create();
    const chosen = new Map<number, FieldTable>();
    for (const field of table.fields) {
      if (!this.#chance(depth === 0 ? 0.7 : 0.4)) continue;
      if (depth >= maxMessageDepth && (field.kind === 'm' || field.kind === 'A')) continue;
      if (field.oneof >= 0)
        chosen.set(field.oneof, this.#chance(0.5) ? field : (chosen.get(field.oneof) ?? field));
      else message[field.property] = this.#field(field, depth);
    }
    for (const field of chosen.values()) message[field.property] = this.#field(field, depth);
    return message;
  }

  #field(field: FieldTable, depth: number): unknown {
    const count = 1 + this.#below(3);
    if (field.shape === 'list') return Array.from({ length: count }, () => this.#value(field, depth));
    if (field.shape !== 'map') return this.#value(field, depth);
    const map = Object.create(null) as Fields;
    for (let index = 0; index < count; index++)
      map[String(this.#scalar(field.keyKind))] = this.#value(field, depth);
    return map;
  }

  #value(field: FieldTable, depth: number): unknown {
    switch (field.kind) {
      case 'm':
        return this.message(field.message as MessageTable<object>, depth + 1);
      case 'e':
        return this.#pick([...(field.enumTable?.nameOf.values() ?? [])]);
      case 'A':
        return this.#any(depth);
      case 'R':
        return encodeAny(this.#pick(packable) as MessageTable<object>, {});
      case 'D':
        return this.#below(1_000_000) * 1000 + this.#below(1_000_000_000) / 1e6;
      case 'S':
        return this.#struct(depth);
      case 'V':
        return this.#json(depth);
      case 'L':
        return [this.#json(depth), this.#json(depth)];
      default:
        return this.#chance(0.1) ? defaultOf(field.scalar, undefined) : this.#scalar(field.scalar);
    }
  }

  #any(depth: number): unknown {
    const table = this.#pick(packable) as MessageTable<object>;
    return { typeUrl: table.typeUrl, value: this.message(table, depth + 2) };
  }

  #struct(depth: number): JsonValue {
    const struct = Object.create(null) as Record<string, JsonValue>;
    for (let index = this.#below(3); index > 0; index--) struct[this.#text()] = this.#json(depth);
    return struct;
  }

  #json(depth: number): JsonValue {
    const choice = this.#below(depth > maxMessageDepth ? 4 : 6);
    if (choice === 0) return null;
    if (choice === 1) return this.#chance(0.5);
    if (choice === 2) return this.#below(1_000_000) / 8;
    if (choice === 3) return this.#text();
    return choice === 4 ? this.#struct(depth + 1) : [this.#json(depth + 1)];
  }

  #scalar(kind: ScalarKind): string | number | boolean | Uint8Array {
    switch (kind) {
      case 's':
        return this.#text();
      case 'b':
        return this.#chance(0.5);
      case 'B':
        return Uint8Array.from({ length: this.#below(5) }, () => this.#below(256));
      case 'd':
        return (this.#below(2_000_000_000) - 1_000_000_000) / 16;
      case 'f':
        return Math.fround((this.#below(20_000) - 10_000) / 16);
      case 'u':
      case 'x':
        return this.#below(4294967296);
      case 'U':
      case 'X':
        return this.#below(Number.MAX_SAFE_INTEGER);
      case 'I':
      case 'Y':
      case 'Z':
        return this.#below(Number.MAX_SAFE_INTEGER) - Math.floor(Number.MAX_SAFE_INTEGER / 2);
      default:
        return this.#below(4294967296) - 2147483648;
    }
  }

  #text(): string {
    return (
      this.#pick(['', 'a', 'reviews.default.svc', '__proto__', 'constructor', 'é✓😀', 'x'.repeat(200)]) +
      this.#below(10)
    );
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.#below(list.length)] as T;
  }

  #chance(probability: number): boolean {
    return this.#random() < probability;
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  /** Mulberry32. */
  #random(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  }
}

/** True where the table keeps an Any undecoded: its JSON differs from Protobuf's on purpose. */
export function hasRawField(table: MessageTable<object>): boolean {
  return table.fields.some(
    (field) =>
      field.kind === 'R' ||
      (field.message !== undefined &&
        field.message !== table &&
        field.message.fields.some((inner) => inner.kind === 'R')),
  );
}

const packable = [...registry.all()].filter((table) => !hasRawField(table));
