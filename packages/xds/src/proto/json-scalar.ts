/**
 * Single values of proto3's JSON mapping, both ways: numbers (64-bit ones as text), bytes as base64,
 * durations as `3.5s`. Reading returns the value, or a text that says what was expected.
 */
import { splitMs } from './encode-known.ts';
import type { ScalarKind } from './table.ts';

/** What stands in place of a value that could not be read. */
export class JsonMismatch {
  readonly expected: string;

  constructor(expected: string) {
    this.expected = expected;
  }
}

interface IntegerRange {
  readonly least: number;
  readonly most: number;
}

const signed32: IntegerRange = { least: -2147483648, most: 2147483647 };
const unsigned32: IntegerRange = { least: 0, most: 4294967295 };
const signed64: IntegerRange = { least: -(2 ** 63), most: 2 ** 63 };
const unsigned64: IntegerRange = { least: 0, most: 2 ** 64 };

const integerRanges: Partial<Record<ScalarKind, IntegerRange>> = {
  i: signed32,
  z: signed32,
  y: signed32,
  u: unsigned32,
  x: unsigned32,
  I: signed64,
  Z: signed64,
  Y: signed64,
  U: unsigned64,
  X: unsigned64,
};

export function scalarFromJson(kind: ScalarKind, json: unknown): unknown {
  if (kind === 's') return typeof json === 'string' ? json : new JsonMismatch('a string');
  if (kind === 'b') return typeof json === 'boolean' ? json : new JsonMismatch('true or false');
  if (kind === 'B') return bytesFromJson(json);
  const range = integerRanges[kind];
  return range === undefined ? floatFromJson(json) : integerFromJson(json, range);
}

/** A map's key arrives as text whatever its type. */
export function keyFromJson(kind: ScalarKind, key: string): string | JsonMismatch {
  if (kind === 's') return key;
  if (kind === 'b') return key === 'true' || key === 'false' ? key : new JsonMismatch('true or false as key');
  const value = scalarFromJson(kind, key);
  return value instanceof JsonMismatch ? value : String(value);
}

export function durationFromJson(json: unknown): number | JsonMismatch {
  const match = typeof json === 'string' ? /^(-?)(\d{1,12})(?:\.(\d{1,9}))?s$/.exec(json) : null;
  if (match === null) return new JsonMismatch('a duration in seconds such as "1.5s"');
  const [, sign, seconds, fraction = ''] = match;
  const ms = Number(seconds) * 1000 + Number(fraction.padEnd(9, '0')) / 1e6;
  return sign === '-' ? -ms : ms;
}

export function scalarToJson(kind: ScalarKind, value: unknown): string | number | boolean {
  if (kind === 'B') return Buffer.from(value as Uint8Array).toString('base64');
  if (kind === 's' || kind === 'b') return value as string | boolean;
  const number = value as number;
  if (integerRanges[kind] === signed64) return integer64Text(number, signed64, '9223372036854775807');
  if (integerRanges[kind] === unsigned64) return integer64Text(number, unsigned64, '18446744073709551615');
  return Number.isFinite(number) ? number : String(number);
}

export function durationToJson(ms: number): string {
  const { seconds, nanos } = splitMs(ms);
  const sign = seconds < 0 || nanos < 0 ? '-' : '';
  // Protobuf prints 0, 3, 6 or 9 digits.
  const fraction = String(Math.abs(nanos))
    .padStart(9, '0')
    .replace(/(?:000){1,3}$/, '');
  return `${sign}${Math.abs(seconds)}${fraction === '' ? '' : `.${fraction}`}s`;
}

function integerFromJson(json: unknown, range: IntegerRange): number | JsonMismatch {
  const value = typeof json === 'string' && /^-?\d+(?:\.0+)?$/.test(json) ? Number(json) : json;
  if (typeof value === 'number' && Number.isInteger(value) && value >= range.least && value <= range.most)
    return value;
  return new JsonMismatch(`a whole number from ${range.least} to ${range.most}`);
}

function floatFromJson(json: unknown): number | JsonMismatch {
  if (typeof json === 'number') return json;
  if (json === 'NaN' || json === 'Infinity' || json === '-Infinity') return Number(json);
  if (typeof json === 'string' && /^-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?$/.test(json)) return Number(json);
  return new JsonMismatch('a number');
}

function bytesFromJson(json: unknown): Uint8Array | JsonMismatch {
  if (typeof json !== 'string' || !/^[A-Za-z0-9+/_-]*={0,2}$/.test(json))
    return new JsonMismatch('bytes in base64');
  return new Uint8Array(Buffer.from(json, 'base64'));
}

/** Doubles cannot hold the greatest 64-bit numbers; the nearest one stands for them. */
function integer64Text(value: number, range: IntegerRange, greatest: string): string {
  return value >= range.most ? greatest : BigInt(Math.trunc(value)).toString();
}
