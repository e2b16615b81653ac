/** Evaluates header operations of routes, virtual hosts, tables and weighted clusters. */
import type { HeaderList } from '@sluice/wire';
import type { FormatFacts, HeaderOperation } from '../route/route.ts';

/** A value that may not stand in a header (a control character from a format) leaves the header as it was. */
export function applyHeaderOperations(
  headers: HeaderList,
  operations: readonly HeaderOperation[],
  facts: FormatFacts,
): void {
  for (let i = 0; i < operations.length; i++) {
    const operation = operations[i]!;
    const name = operation.nameId !== 0 ? operation.nameId : operation.name;
    if (operation.kind === 'remove') {
      headers.remove(name);
      continue;
    }
    const value = operation.format === null ? operation.value : operation.format(facts);
    if (value === '' && !operation.keepEmptyValue) continue;
    apply(headers, operation.kind, operation, name, value);
  }
}

function apply(
  headers: HeaderList,
  kind: Exclude<HeaderOperation['kind'], 'remove'>,
  operation: HeaderOperation,
  name: number | string,
  value: string,
): void {
  switch (kind) {
    case 'append':
      // By name, so that the header is sent with the case that was configured.
      headers.append(operation.name, value);
      return;
    case 'set':
      headers.set(name, value);
      return;
    case 'setIfAbsent':
      if (!isPresent(headers, operation)) headers.append(operation.name, value);
      return;
    case 'setIfPresent':
      if (isPresent(headers, operation)) headers.set(name, value);
  }
}

function isPresent(headers: HeaderList, operation: HeaderOperation): boolean {
  return operation.nameId !== 0
    ? headers.has(operation.nameId)
    : headers.getByName(operation.name.toLowerCase()) !== undefined;
}
