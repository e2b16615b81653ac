/**
 * Serial numbers of certificates: random, so that nobody can predict one (CA/Browser Forum §7.1 asks for 64 bits,
 * we take 159 of the 160 that RFC 5280 §4.1.2.2 allows), and in one text form wherever they are shown or compared.
 */
import { randomBytes } from 'node:crypto';

const serialBytes = 20;
const serialForm = /^(?:[0-9a-f]{2}){1,20}$/;

/** 20 bytes, positive and with a first digit that is not zero. */
export function randomSerial(): Uint8Array {
  const bytes = new Uint8Array(randomBytes(serialBytes));
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes;
}

/** Lower-case hexadecimal of whole bytes without a leading zero byte; `content` is that of an INTEGER. */
export function serialText(content: Uint8Array): string {
  let start = 0;
  while (start < content.length - 1 && content[start] === 0) start++;
  return Buffer.from(content.subarray(start)).toString('hex');
}

/** As people and other programs write it (`0A:1B…`, `a1b`, `0xA1B`) in our form; null when it is no serial number. */
export function parseSerial(text: string): string | null {
  const digits = text.trim().toLowerCase().replace(/^0x/, '').replaceAll(':', '');
  const even = digits.length % 2 === 0 ? digits : `0${digits}`;
  const stripped = even.replace(/^(?:00)+(?=..)/, '');
  return serialForm.test(stripped) ? stripped : null;
}
