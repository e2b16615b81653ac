/**
 * How the Protobuf types that JavaScript has no equal for appear in decoded messages.
 *
 * Wrappers are plain scalars, a Duration is a number of milliseconds, an enum the name of its value. What has
 * presence in Protobuf and was not set is absent here.
 * 64-bit integers are numbers: beyond 2^53 they are rounded, and clamped again when encoded.
 */

export type JsonValue = null | boolean | number | string | JsonArray | JsonObject;
export type JsonArray = readonly JsonValue[];
export interface JsonObject {
  readonly [key: string]: JsonValue;
}

/**
 * `google.protobuf.Any`: `value` is the decoded message when the tables know the type, else its bytes.
 * Narrow with `unpackAny(any, Table)`.
 */
export interface Any {
  readonly typeUrl: string;
  readonly value: object | Uint8Array;
}

/** What may be given for a message that is to be encoded: everything may be left out, at every depth. */
export type Init<T> = T extends Uint8Array | JsonObject | JsonArray | Any
  ? T
  : T extends readonly (infer U)[]
    ? readonly Init<U>[]
    : T extends object
      ? { readonly [K in keyof T]?: Init<T[K]> | undefined }
      : T;

export const anyTypePrefix = 'type.googleapis.com/';

/** Full name of the message in a type URL: what follows the last slash. */
export function typeNameOf(typeUrl: string): string {
  return typeUrl.slice(typeUrl.lastIndexOf('/') + 1);
}
