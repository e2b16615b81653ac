/** For tests and fuzzing: fields as strings, through the codec's own interfaces. */
import { decodeLatin1, latin1Bytes } from '../../headers/bytes.ts';
import { FIELD_SENSITIVE } from '../../headers/header-list.ts';
import { lookupNameId } from '../../headers/names.ts';
import type { FieldSink, HpackDecoder } from './decoder.ts';
import { BLOCK_OVERHEAD_BYTES, FIELD_OVERHEAD_BYTES, type HpackEncoder } from './encoder.ts';
import { StaticIndex } from './static-table.ts';

export type Field = readonly [name: string, value: string];

const pseudoIndex: Readonly<Record<string, number>> = {
  ':authority': StaticIndex.authority,
  ':method': StaticIndex.methodGet,
  ':path': StaticIndex.pathRoot,
  ':scheme': StaticIndex.schemeHttp,
};
/** By class, where the decoder leaves the name out. */
const pseudoNames = [':method', ':scheme', ':authority', ':path', ':protocol', ':status'];
const FIRST_PSEUDO = 8;

export class FieldCollector implements FieldSink {
  readonly fields: Field[] = [];
  readonly sensitive: string[] = [];

  field(
    fieldClass: number,
    _id: number,
    buf: Uint8Array,
    nameStart: number,
    nameEnd: number,
    valueStart: number,
    valueEnd: number,
    flags: number,
  ): void {
    const name =
      nameEnd > nameStart
        ? decodeLatin1(buf, nameStart, nameEnd)
        : (pseudoNames[(fieldClass & 0xf) - FIRST_PSEUDO] ?? '');
    this.fields.push([name, decodeLatin1(buf, valueStart, valueEnd)]);
    if ((flags & FIELD_SENSITIVE) !== 0) this.sensitive.push(name);
  }
}

/** The block's fields; the decoder's failure, as text, if it has one. */
export function decodeFields(decoder: HpackDecoder, block: Uint8Array, isStable = true): Field[] | string {
  const collector = new FieldCollector();
  return decoder.decode(block, 0, block.length, isStable, collector) ? collector.fields : decoder.failure;
}

/** One block of these fields. */
export function encodeFields(encoder: HpackEncoder, fields: readonly Field[]): Uint8Array {
  let bound = BLOCK_OVERHEAD_BYTES;
  for (const [name, value] of fields) bound += FIELD_OVERHEAD_BYTES + name.length + value.length;
  const out = new Uint8Array(bound);
  let at = encoder.begin(out, 0);
  for (const [name, value] of fields) at = encodeField(encoder, out, at, name, value);
  return out.slice(0, at);
}

function encodeField(
  encoder: HpackEncoder,
  out: Uint8Array,
  at: number,
  name: string,
  value: string,
): number {
  if (name === ':status') return encoder.status(out, at, Number(value));
  if (name === ':protocol') return encoder.protocol(out, at, value);
  const index = pseudoIndex[name];
  if (index !== undefined) return encoder.pseudo(out, at, index, value);
  const line = latin1Bytes(name + value);
  const id = lookupNameId(line, 0, name.length);
  return encoder.field(out, at, id, line, 0, name.length, name.length, line.length, 0);
}

/** Octets of hexadecimal text; spaces and line ends between are left out. */
export function hexBytes(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex.replace(/\s+/g, ''), 'hex'));
}
