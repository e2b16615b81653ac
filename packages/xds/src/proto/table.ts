/**
 * Field tables: what a decoder needs to know of a message, parsed from one line of text on first use.
 *
 * The grammar of that line stands in `codegen/tables.mjs`, which writes it. Text rather than objects
 * keeps the proxy's idle memory to the messages that its configuration really contains.
 */
import { anyTypePrefix, typeNameOf } from './values.ts';

/** How a value is written on the wire and held in memory; the letters of the table grammar. */
export type ScalarKind =
  'd' | 'f' | 'i' | 'I' | 'u' | 'U' | 'z' | 'Z' | 'x' | 'X' | 'y' | 'Y' | 'b' | 's' | 'B';
export type ValueKind = ScalarKind | 'w' | 'e' | 'm' | 'A' | 'R' | 'D' | 'S' | 'V' | 'L';

export interface EnumTable {
  readonly nameOf: ReadonlyMap<number, string>;
  readonly numberOf: ReadonlyMap<string, number>;
  /** Name of the value that an unset field has. */
  readonly zero: string;
}

/** An honoured field. */
export interface FieldTable {
  readonly number: number;
  /** Name in the proto file. */
  readonly name: string;
  /** Property in the decoded message, and name in JSON. */
  readonly property: string;
  readonly kind: ValueKind;
  /** The scalar inside a wrapper (`w`). */
  readonly scalar: ScalarKind;
  readonly shape: 'single' | 'list' | 'map';
  /** Kind of a map's keys. */
  readonly keyKind: ScalarKind;
  /** Absent when not set, rather than filled with its default. */
  readonly hasPresence: boolean;
  /** Index of the oneof it belongs to, or -1. */
  readonly oneof: number;
  /** Properties of the other members of its oneof. */
  readonly siblings: readonly string[];
  readonly enumTable: EnumTable | undefined;
  /** Looked up late: messages may refer to each other in circles. */
  readonly message: MessageTable<object> | undefined;
}

/** A field that Envoy's API has and the tables do not honour. */
export interface KnownField {
  readonly number: number;
  readonly name: string;
  /** Without presence: its default value, when written out in JSON, means nothing. */
  readonly isImplicitScalar: boolean;
}

export class TableRegistry {
  readonly #enumTexts: readonly string[];
  readonly #enums: (EnumTable | undefined)[] = [];
  readonly #byTsName = new Map<string, MessageTable<object>>();
  readonly #byTypeName = new Map<string, MessageTable<object>>();

  constructor(enumTexts: readonly string[]) {
    this.#enumTexts = enumTexts;
  }

  /** `T` is the generated shape of the message; only generated code calls this. */
  add<T extends object>(tsName: string, typeName: string, fields: string): MessageTable<T> {
    const table = new MessageTable<T>(this, typeName, fields);
    this.#byTsName.set(tsName, table);
    this.#byTypeName.set(typeName, table);
    return table;
  }

  /** The table of an Any's type URL, whatever its prefix. */
  byTypeUrl(typeUrl: string): MessageTable<object> | undefined {
    return this.#byTypeName.get(typeNameOf(typeUrl));
  }

  all(): IterableIterator<MessageTable<object>> {
    return this.#byTypeName.values();
  }

  message(tsName: string): MessageTable<object> {
    const table = this.#byTsName.get(tsName);
    if (table === undefined) throw new Error(`generated tables refer to ${tsName}, which they lack`);
    return table;
  }

  enum(index: number): EnumTable {
    return (this.#enums[index] ??= parseEnum(this.#enumTexts[index] ?? ''));
  }
}

export class MessageTable<T extends object> {
  readonly registry: TableRegistry;
  readonly typeName: string;
  readonly typeUrl: string;
  readonly #text: string;
  #parsed: ParsedTable | undefined;
  /** Exists in the type system only: ties a table to the shape of its message. */
  declare readonly messageShape: T;

  constructor(registry: TableRegistry, typeName: string, text: string) {
    this.registry = registry;
    this.typeName = typeName;
    this.typeUrl = anyTypePrefix + typeName;
    this.#text = text;
  }

  /** Honoured fields in the order of their numbers, which is the order of encoding. */
  get fields(): readonly FieldTable[] {
    return this.#parse().fields;
  }

  get knownFields(): readonly KnownField[] {
    return this.#parse().known;
  }

  field(number: number): FieldTable | undefined {
    return this.#parse().byNumber.get(number);
  }

  knownField(number: number): KnownField | undefined {
    return this.#parse().known.find((field) => field.number === number);
  }

  /** By proto name or JSON name. */
  fieldNamed(name: string): FieldTable | undefined {
    return this.#parse().byName.get(name);
  }

  knownFieldNamed(name: string): KnownField | undefined {
    return this.#parse().known.find((field) => field.name === name || propertyName(field.name) === name);
  }

  /** A new message with every default in place, always with the same hidden class. */
  create(): Record<string, unknown> {
    return { ...this.#parse().defaults };
  }

  #parse(): ParsedTable {
    return (this.#parsed ??= parseTable(this.registry, this.#text));
  }
}

interface ParsedTable {
  readonly fields: readonly FieldTable[];
  readonly known: readonly KnownField[];
  readonly byNumber: ReadonlyMap<number, FieldTable>;
  readonly byName: ReadonlyMap<string, FieldTable>;
  readonly defaults: Readonly<Record<string, unknown>>;
}

/** Shared by all decoded messages: an absent list costs nothing. */
export const emptyList: readonly never[] = Object.freeze([]);
export const emptyMap: object = Object.freeze(Object.create(null) as object);
const emptyBytes = new Uint8Array(0);

/** `lb_policy` becomes `lbPolicy`, by Protobuf's rule for JSON names. */
export function propertyName(name: string): string {
  return name.replace(/_+([^_]?)/g, (_, letter: string) => letter.toUpperCase());
}

/** What a field without presence holds when nothing was sent. */
export function defaultOf(kind: ValueKind, enumTable: EnumTable | undefined): unknown {
  if (kind === 's') return '';
  if (kind === 'b') return false;
  if (kind === 'B') return emptyBytes;
  if (kind === 'e') return enumTable?.zero;
  return 0;
}

function parseEnum(text: string): EnumTable {
  const nameOf = new Map<number, string>();
  const numberOf = new Map<string, number>();
  for (const word of text.split(' ')) {
    const [number = '', name = ''] = word.split('=');
    numberOf.set(name, Number(number));
    if (!nameOf.has(Number(number))) nameOf.set(Number(number), name);
  }
  return { nameOf, numberOf, zero: nameOf.get(0) ?? '' };
}

function parseTable(registry: TableRegistry, text: string): ParsedTable {
  const fields: (FieldTable & { siblings: readonly string[] })[] = [];
  const known: KnownField[] = [];
  for (const word of text === '' ? [] : text.split(' ')) {
    const [number = '', name = '', kind] = word.split(':');
    if (kind === undefined || kind === '~') {
      known.push({ number: Number(number), name, isImplicitScalar: kind === '~' });
    } else {
      fields.push(parseField(registry, Number(number), name, kind));
    }
  }
  fields.sort((a, b) => a.number - b.number);
  const byName = new Map<string, FieldTable>();
  const defaults: Record<string, unknown> = {};
  for (const field of fields) {
    if (field.oneof >= 0) field.siblings = siblingsOf(field, fields);
    byName.set(field.name, field);
    byName.set(field.property, field);
    if (field.shape === 'list') defaults[field.property] = emptyList;
    else if (field.shape === 'map') defaults[field.property] = emptyMap;
    else if (!field.hasPresence) defaults[field.property] = defaultOf(field.kind, field.enumTable);
  }
  return { fields, known, byNumber: new Map(fields.map((field) => [field.number, field])), byName, defaults };
}

function siblingsOf(field: FieldTable, fields: readonly FieldTable[]): readonly string[] {
  return fields
    .filter((other) => other.oneof === field.oneof && other !== field)
    .map((other) => other.property);
}

const kindGrammar = /^(?:(\*)|\{(\w))?(\?)?(?:@(\d+))?(\w)(\w*)$/;

function parseField(registry: TableRegistry, number: number, name: string, text: string): FieldTable {
  let message: MessageTable<object> | undefined;
  const [, list, mapKey, presence, oneof, kind, rest = ''] = kindGrammar.exec(text) ?? [];
  if (kind === undefined) throw new Error(`generated table of field ${name} cannot be read: ${text}`);
  return {
    number,
    name,
    property: propertyName(name),
    kind: kind as ValueKind,
    scalar: (kind === 'w' ? rest : kind) as ScalarKind,
    shape: list !== undefined ? 'list' : mapKey !== undefined ? 'map' : 'single',
    keyKind: (mapKey ?? 's') as ScalarKind,
    hasPresence: presence !== undefined,
    oneof: oneof === undefined ? -1 : Number(oneof),
    siblings: emptyList,
    enumTable: kind === 'e' ? registry.enum(Number(rest)) : undefined,
    get message() {
      return kind === 'm' ? (message ??= registry.message(rest)) : undefined;
    },
  };
}
