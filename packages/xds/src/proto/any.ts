/** Opening an Any whose type the reader expects. */
import type { MessageTable } from './table.ts';
import { typeNameOf, type Any } from './values.ts';

/** The message inside, or undefined when the Any is absent or holds another type. */
export function unpackAny<T extends object>(any: Any | undefined, table: MessageTable<T>): T | undefined {
  if (any === undefined || any.value instanceof Uint8Array || typeNameOf(any.typeUrl) !== table.typeName)
    return undefined;
  return any.value as T;
}

/** An Any that holds the message, for building configuration in code. */
export function packAny<T extends object>(table: MessageTable<T>, message: T): Any {
  return { typeUrl: table.typeUrl, value: message };
}
