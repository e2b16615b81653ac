/** Names in certificates: written as one common name and organisation, read as RFC 4514 text, last part first. */
import { derTag } from '../der/der-tag.ts';
import type { DerReader } from '../der/der-reader.ts';
import { derOid, derSequence, derSet, derText } from '../der/der-writer.ts';
import { attributeNames, oids } from '../der/oid.ts';

export interface NameParts {
  readonly organization?: string;
  readonly commonName?: string;
}

/** The empty sequence for no parts: then the subject alternative name carries the identity, and is critical. */
export function writeName({ organization, commonName }: NameParts): Uint8Array {
  const parts: Uint8Array[] = [];
  if (organization !== undefined) parts.push(attribute(oids.organization, organization));
  if (commonName !== undefined) parts.push(attribute(oids.commonName, commonName));
  return derSequence(...parts);
}

export interface ReadName {
  /** RFC 4514; empty for the empty name. */
  readonly text: string;
  /** The first common name; empty when there is none. */
  readonly commonName: string;
  /** The encoded name, which is what issuers are compared by. */
  readonly der: Uint8Array;
}

export function readName(reader: DerReader, whole: Uint8Array): ReadName {
  const relative: string[] = [];
  let commonName = '';
  while (!reader.isAtEnd) {
    const set = reader.enter(derTag.set);
    const values: string[] = [];
    while (!set.isAtEnd) {
      const pair = set.enter(derTag.sequence);
      const type = pair.oid();
      const tag = pair.peekTag();
      const value = decodeString(tag, pair.content(tag));
      if (type === oids.commonName && commonName === '') commonName = value;
      values.push(`${attributeNames.get(type) ?? type}=${escapeValue(value)}`);
    }
    relative.unshift(values.join('+'));
  }
  return { text: relative.join(','), commonName, der: whole };
}

function attribute(type: string, value: string): Uint8Array {
  return derSet(derSequence(derOid(type), derText(value)));
}

function decodeString(tag: number, content: Uint8Array): string {
  const bytes = Buffer.from(content.buffer, content.byteOffset, content.byteLength);
  if (tag === derTag.utf8String) return bytes.toString('utf8');
  if (tag !== derTag.bmpString) return bytes.toString('latin1');
  return bytes.length % 2 === 0 ? Buffer.from(bytes).swap16().toString('utf16le') : bytes.toString('latin1');
}

/** RFC 4514 §2.4; control characters as hexadecimal pairs, so that a name cannot break a log line. */
function escapeValue(value: string): string {
  return value
    .replace(/[",+;<>\\]/g, (character) => `\\${character}`)
    .replace(/^[ #]| $/g, (character) => `\\${character}`)
    .replace(/\p{Cc}/gu, (character) => `\\${character.charCodeAt(0).toString(16).padStart(2, '0')}`);
}
