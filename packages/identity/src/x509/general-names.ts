/** Subject alternative names (RFC 5280 §4.2.1.6): URIs, DNS names, addresses of machines and of mail. */
import { contextTag, derTag } from '../der/der-tag.ts';
import type { DerReader } from '../der/der-reader.ts';
import { derSequence, derText, derValue } from '../der/der-writer.ts';

export interface SubjectAltNames {
  readonly uriSans: readonly string[];
  readonly dnsSans: readonly string[];
  readonly ipSans: readonly string[];
  readonly emailSans: readonly string[];
}

export const noAltNames: SubjectAltNames = { uriSans: [], dnsSans: [], ipSans: [], emailSans: [] };

const nameTag = { email: contextTag(1), dns: contextTag(2), uri: contextTag(6), ip: contextTag(7) } as const;
const ascii = /^[\u0020-\u007e]+$/;

/** Addresses that are not IPv4 or IPv6 in text form are left out by `isIpText` before they come here. */
export function writeGeneralNames(names: Partial<SubjectAltNames>): Uint8Array {
  return derSequence(
    ...(names.uriSans ?? []).map((name) => derText(name, nameTag.uri)),
    ...(names.dnsSans ?? []).map((name) => derText(name, nameTag.dns)),
    ...(names.ipSans ?? []).map((name) => derValue(nameTag.ip, ipBytes(name))),
    ...(names.emailSans ?? []).map((name) => derText(name, nameTag.email)),
  );
}

export function readGeneralNames(octets: DerReader): SubjectAltNames {
  const names = {
    uriSans: [] as string[],
    dnsSans: [] as string[],
    ipSans: [] as string[],
    emailSans: [] as string[],
  };
  const sequence = octets.enter(derTag.sequence);
  while (!sequence.isAtEnd) {
    const tag = sequence.peekTag();
    const content = tag === -1 ? new Uint8Array(0) : sequence.content(tag);
    if (tag === nameTag.uri) names.uriSans.push(readAscii(sequence, content));
    else if (tag === nameTag.dns) names.dnsSans.push(readAscii(sequence, content));
    else if (tag === nameTag.email) names.emailSans.push(readAscii(sequence, content));
    else if (tag === nameTag.ip) names.ipSans.push(readIp(sequence, content));
  }
  return names;
}

/** An IA5String without control characters: a NUL within a name has fooled many verifiers. */
function readAscii(reader: DerReader, content: Uint8Array): string {
  const text = Buffer.from(content.buffer, content.byteOffset, content.byteLength).toString('latin1');
  if (!ascii.test(text)) reader.fail('a subject alternative name that is not printable ASCII');
  return text;
}

function readIp(reader: DerReader, content: Uint8Array): string {
  if (content.length === 4) return content.join('.');
  if (content.length !== 16) {
    reader.fail('an address of neither 4 nor 16 bytes');
    return '';
  }
  const groups: string[] = [];
  for (let at = 0; at < 16; at += 2)
    groups.push((((content[at] ?? 0) << 8) | (content[at + 1] ?? 0)).toString(16));
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}

/** `text` is an IPv4 or IPv6 address. */
function ipBytes(text: string): Uint8Array {
  if (!text.includes(':')) return Uint8Array.from(text.split('.').map(Number));
  // The URL parser knows every way of writing an IPv6 address and gives the canonical one.
  const canonical = new URL(`http://[${text}]`).hostname.slice(1, -1);
  const [head = '', tail = ''] = canonical.split('::');
  const front = head === '' ? [] : head.split(':');
  const back = tail === '' ? [] : tail.split(':');
  const groups = [...front, ...Array<string>(8 - front.length - back.length).fill('0'), ...back];
  return Uint8Array.from(
    groups.flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff]),
  );
}
