/**
 * An operator's value as a string, for header values. Null when there is none (Envoy then adds no
 * header, or prints `-` inside longer text).
 */
import {
  addressHost,
  addressPort,
  headerIndex,
  headersOf,
  joinAddress,
  metadataValue,
  numberValue,
  ownHeaderValue,
  textValue,
} from './operator-value.ts';
import type { CompiledOperator, HeaderReference } from './operators.ts';
import type { RequestRecord } from './record.ts';

export function operatorText(record: RequestRecord, operator: CompiledOperator): string | null {
  const value = wholeText(record, operator);
  return value === null || operator.maxLength < 0 ? value : value.slice(0, operator.maxLength);
}

function wholeText(record: RequestRecord, operator: CompiledOperator): string | null {
  switch (operator.kind) {
    case 'number': {
      const value = numberValue(record, operator);
      return Number.isNaN(value) ? null : `${value}`;
    }
    case 'text':
    case 'octets':
      return textValue(record, operator);
    case 'address': {
      const host = addressHost(record, operator);
      return host === '' ? null : joinAddress(host, addressPort(record, operator));
    }
    case 'header':
      return (
        headerText(record, operator, operator.header) ?? headerText(record, operator, operator.alternative)
      );
    case 'time':
      return operator.time === null ? null : operator.time.format(record.startWallMs);
    case 'constant':
      return operator.constant;
    case 'metadata': {
      const value = metadataValue(record, operator.path);
      if (value === undefined || value === null) return null;
      return typeof value === 'string' ? value : (JSON.stringify(value) ?? null);
    }
  }
}

function headerText(
  record: RequestRecord,
  operator: CompiledOperator,
  reference: HeaderReference | null,
): string | null {
  if (reference === null) return null;
  const own = ownHeaderValue(record, operator, reference);
  if (own !== null) return own;
  const headers = headersOf(record, operator);
  if (headers === null) return null;
  const index = headerIndex(headers, reference);
  return index < 0 ? null : headers.valueAt(index);
}
