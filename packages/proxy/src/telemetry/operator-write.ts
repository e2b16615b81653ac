/**
 * Writes an operator's value into a log line: numbers and header octets without making strings.
 *
 * Returns false, having written nothing, when there is no value; the caller prints its own stand-in
 * (`-` in text, `null` in JSON).
 */
import type { ByteWriter, EscapeStyle } from './byte-writer.ts';
import { operatorText } from './operator-text.ts';
import {
  addressHost,
  addressPort,
  headerIndex,
  headersOf,
  metadataValue,
  numberValue,
  ownHeaderValue,
  textValue,
} from './operator-value.ts';
import type { CompiledOperator, HeaderReference } from './operators.ts';
import type { RequestRecord } from './record.ts';

const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const COLON = 0x3a;
const QUOTE = 0x22;

/** The bare value, escaped; what stands between a format's literals. */
export function writeValue(
  out: ByteWriter,
  record: RequestRecord,
  operator: CompiledOperator,
  style: EscapeStyle,
): boolean {
  switch (operator.kind) {
    case 'header':
      return (
        writeHeader(out, record, operator, operator.header, style) ||
        writeHeader(out, record, operator, operator.alternative, style)
      );
    case 'number': {
      const value = numberValue(record, operator);
      if (Number.isNaN(value)) return false;
      out.decimal(value);
      return true;
    }
    case 'address':
      return operator.maxLength < 0
        ? writeAddress(out, record, operator, style)
        : writeText(out, operatorText(record, operator), style);
    case 'octets':
      return writeOctetText(out, operatorText(record, operator), style);
    case 'text':
      return operator.maxLength < 0
        ? writeText(out, textValue(record, operator), style)
        : writeText(out, operatorText(record, operator), style);
    case 'time':
    case 'constant':
    case 'metadata':
      return writeText(out, operatorText(record, operator), style);
  }
}

/** The value as one JSON value: numbers bare, metadata as it is, the rest as strings. */
export function writeJsonValue(
  out: ByteWriter,
  record: RequestRecord,
  operator: CompiledOperator,
  style: EscapeStyle,
): boolean {
  if (operator.kind === 'number') return writeValue(out, record, operator, style);
  if (operator.kind === 'metadata' && operator.maxLength < 0) {
    const value = metadataValue(record, operator.path);
    if (value === undefined || value === null) return false;
    if (typeof value !== 'string') return writeRawJson(out, value);
  }
  const start = out.length;
  out.byte(QUOTE);
  if (!writeValue(out, record, operator, style)) {
    out.length = start;
    return false;
  }
  out.byte(QUOTE);
  return true;
}

function writeHeader(
  out: ByteWriter,
  record: RequestRecord,
  operator: CompiledOperator,
  reference: HeaderReference | null,
  style: EscapeStyle,
): boolean {
  if (reference === null) return false;
  const own = ownHeaderValue(record, operator, reference);
  if (own !== null) return writeOctetText(out, clip(own, operator.maxLength), style);
  const headers = headersOf(record, operator);
  if (headers === null) return false;
  const index = headerIndex(headers, reference);
  if (index < 0) return false;
  const start = headers.valueStartAt(index);
  const end = headers.valueEndAt(index);
  const last = operator.maxLength < 0 ? end : Math.min(end, start + operator.maxLength);
  out.octets(headers.bufferAt(index), start, last, style);
  return true;
}

function writeAddress(
  out: ByteWriter,
  record: RequestRecord,
  operator: CompiledOperator,
  style: EscapeStyle,
): boolean {
  const host = addressHost(record, operator);
  if (host === '') return false;
  const port = addressPort(record, operator);
  const isBracketed = port >= 0 && host.includes(':');
  if (isBracketed) out.byte(OPEN_BRACKET);
  out.text(host, style);
  if (isBracketed) out.byte(CLOSE_BRACKET);
  if (port >= 0) {
    out.byte(COLON);
    out.decimal(port);
  }
  return true;
}

/** `text` is a byte string that a peer chose. */
function writeOctetText(out: ByteWriter, text: string | null, style: EscapeStyle): boolean {
  if (text === null) return false;
  out.byteString(text, style);
  return true;
}

function writeText(out: ByteWriter, text: string | null, style: EscapeStyle): boolean {
  if (text === null) return false;
  out.text(text, style);
  return true;
}

/** JSON text made by the runtime: it has no line breaks, but U+2028 and C1 controls are escaped here. */
function writeRawJson(out: ByteWriter, value: unknown): boolean {
  const json = JSON.stringify(value);
  if (json === undefined) return false;
  const escaped = json.replaceAll(
    /[\u007f-\u009f\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  out.literal(Buffer.from(escaped, 'utf8'));
  return true;
}

function clip(text: string, maxLength: number): string {
  return maxLength < 0 ? text : text.slice(0, maxLength);
}
