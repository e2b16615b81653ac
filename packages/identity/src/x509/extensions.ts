/** Extensions (RFC 5280 §4.2): those that are understood are read, any other that is critical is refused. */
import { contextTag, derTag } from '../der/der-tag.ts';
import type { DerReader } from '../der/der-reader.ts';
import {
  derBoolean,
  derInteger,
  derNamedBits,
  derOctets,
  derOid,
  derSequence,
  derValue,
} from '../der/der-writer.ts';
import { oids } from '../der/oid.ts';
import { problem } from '../problem.ts';
import { noAltNames, readGeneralNames, type SubjectAltNames } from './general-names.ts';

/** Bits of KeyUsage (RFC 5280 §4.2.1.3). */
export const keyUsageBits = { digitalSignature: 0, keyEncipherment: 2, keyCertSign: 5, crlSign: 6 } as const;

export interface Extensions extends SubjectAltNames {
  readonly isCa: boolean;
  /** Authorities that may stand below; null for no limit. */
  readonly pathLength: number | null;
  /** Numbers of the bits that are set; null where the extension is absent. */
  readonly keyUsages: ReadonlySet<number> | null;
  /** OIDs; null where the extension is absent. */
  readonly extKeyUsages: readonly string[] | null;
  /** Hex; empty where absent. */
  readonly subjectKeyId: string;
  readonly authorityKeyId: string;
}

interface Building {
  names: SubjectAltNames;
  isCa: boolean;
  pathLength: number | null;
  keyUsages: ReadonlySet<number> | null;
  extKeyUsages: readonly string[] | null;
  subjectKeyId: string;
  authorityKeyId: string;
}

/** Critical or not, these change nothing that is judged here. */
const harmless: ReadonlySet<string> = new Set([oids.certificatePolicies]);

export const noExtensions: Extensions = { ...noAltNames, ...emptyBuilding(), pathLength: null };

/** `list` is the SEQUENCE OF Extension. */
export function readExtensions(list: DerReader): Extensions {
  const found = { names: noAltNames, ...emptyBuilding() } satisfies Building as Building;
  const seen = new Set<string>();
  while (!list.isAtEnd) {
    const extension = list.enter(derTag.sequence);
    const oid = extension.oid();
    // RFC 5280 §4.2: one of each; a second would let two readers believe different things.
    if (seen.has(oid)) list.fail('an extension twice');
    seen.add(oid);
    const isCritical = extension.peekTag() === derTag.boolean ? extension.boolean() : false;
    const octets = extension.enterOctets();
    if (!readExtension(oid, octets, found) && isCritical && !harmless.has(oid))
      list.failWith(problem('unsupported', 'a critical extension that is not understood'));
    extension.finish();
  }
  const { names, ...rest } = found;
  return { ...names, ...rest };
}

/** One Extension; critical only when asked, as DER leaves defaults out. */
export function writeExtension(oid: string, isCritical: boolean, value: Uint8Array): Uint8Array {
  return isCritical
    ? derSequence(derOid(oid), derBoolean(true), derOctets(value))
    : derSequence(derOid(oid), derOctets(value));
}

export function writeBasicConstraints(isCa: boolean, pathLength: number | null): Uint8Array {
  return derSequence(
    ...(isCa ? [derBoolean(true)] : []),
    ...(isCa && pathLength !== null ? [derInteger(pathLength)] : []),
  );
}

export function writeKeyUsage(bits: readonly number[]): Uint8Array {
  return derNamedBits(bits);
}

export function writeAuthorityKeyId(keyId: Uint8Array): Uint8Array {
  return derSequence(derValue(contextTag(0), keyId));
}

/** False for an extension that is not understood. */
function readExtension(oid: string, octets: DerReader, found: Building): boolean {
  switch (oid) {
    case oids.subjectAltName:
      found.names = readGeneralNames(octets);
      return true;
    case oids.basicConstraints: {
      const constraints = octets.enter(derTag.sequence);
      found.isCa = constraints.peekTag() === derTag.boolean ? constraints.boolean() : false;
      if (constraints.peekTag() === derTag.integer) found.pathLength = constraints.smallInteger();
      return true;
    }
    case oids.keyUsage:
      found.keyUsages = octets.namedBits();
      return true;
    case oids.extKeyUsage: {
      const usages: string[] = [];
      const list = octets.enter(derTag.sequence);
      while (!list.isAtEnd) usages.push(list.oid());
      found.extKeyUsages = usages;
      return true;
    }
    case oids.subjectKeyId:
      found.subjectKeyId = hex(octets.content(derTag.octetString));
      return true;
    case oids.authorityKeyId:
      found.authorityKeyId = readAuthorityKeyId(octets);
      return true;
    default:
      return false;
  }
}

function readAuthorityKeyId(octets: DerReader): string {
  const sequence = octets.enter(derTag.sequence);
  let keyId = '';
  while (!sequence.isAtEnd) {
    const tag = sequence.peekTag();
    const content = sequence.content(tag);
    if (tag === contextTag(0)) keyId = hex(content);
  }
  return keyId;
}

function emptyBuilding(): Omit<Building, 'names'> {
  return {
    isCa: false,
    pathLength: null,
    keyUsages: null,
    extKeyUsages: null,
    subjectKeyId: '',
    authorityKeyId: '',
  };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}
