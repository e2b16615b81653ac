/** Which wire type each kind of value has. */
import { wireBytes, wireFixed32, wireFixed64, wireVarint } from './reader.ts';
import type { ValueKind } from './table.ts';

/** Messages and everything that is one on the wire go by length, like strings. */
export function scalarWireType(kind: ValueKind): number {
  switch (kind) {
    case 'd':
    case 'X':
    case 'Y':
      return wireFixed64;
    case 'f':
    case 'x':
    case 'y':
      return wireFixed32;
    case 'i':
    case 'I':
    case 'u':
    case 'U':
    case 'z':
    case 'Z':
    case 'b':
    case 'e':
      return wireVarint;
    default:
      return wireBytes;
  }
}
