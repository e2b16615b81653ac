/**
 * PEM (RFC 7468): the text form that files, xDS and the signing service carry. Reading is lenient about what stands
 * between blocks (openssl writes a description there) and strict within them.
 */
import { isProblem, problem, type Problem } from './problem.ts';

export interface PemBlock {
  /** `CERTIFICATE`, `CERTIFICATE REQUEST`, `X509 CRL`, … */
  readonly label: string;
  readonly der: Uint8Array;
}

const lineLength = 64;
const maxPemBytes = 4 * 1024 * 1024;
const maxBlocks = 256;
const begin = '-----BEGIN ';
const dashes = '-----';
const base64Form = /^[A-Za-z0-9+/]*={0,2}$/;

/** Every block of a text, in order. */
export function parsePem(text: string): readonly PemBlock[] | Problem {
  if (text.length > maxPemBytes) return problem('too-large', `PEM of more than ${maxPemBytes} bytes`);
  const blocks: PemBlock[] = [];
  let at = text.indexOf(begin);
  while (at >= 0) {
    const labelEnd = text.indexOf(dashes, at + begin.length);
    if (labelEnd < 0) return problem('malformed', 'a PEM block without the end of its first line');
    const label = text.slice(at + begin.length, labelEnd);
    const end = `-----END ${label}-----`;
    const endAt = text.indexOf(end, labelEnd);
    if (label.length > lineLength || endAt < 0)
      return problem('malformed', 'a PEM block without its last line');
    const body = text.slice(labelEnd + dashes.length, endAt).replace(/\s+/g, '');
    if (body === '' || !base64Form.test(body)) return problem('malformed', 'a PEM block that is not base64');
    blocks.push({ label, der: new Uint8Array(Buffer.from(body, 'base64')) });
    if (blocks.length > maxBlocks) return problem('too-large', `more than ${maxBlocks} PEM blocks`);
    at = text.indexOf(begin, endAt + end.length);
  }
  return blocks;
}

/** With a final newline: PEM texts are joined, and readers refuse two markers on one line. */
export function formatPem(label: string, der: Uint8Array): string {
  const base64 = Buffer.from(der.buffer, der.byteOffset, der.byteLength).toString('base64');
  const lines = [`${begin}${label}${dashes}`];
  for (let at = 0; at < base64.length; at += lineLength) lines.push(base64.slice(at, at + lineLength));
  lines.push(`-----END ${label}-----`, '');
  return lines.join('\n');
}

/** The DER of a thing that may come as either: the one block of `label` when it is text. */
export function derOf(source: Uint8Array | string, label: string): Uint8Array | Problem {
  if (typeof source !== 'string' && source[0] !== 0x2d) return source;
  const text = typeof source === 'string' ? source : Buffer.from(source).toString('latin1');
  const blocks = parsePem(text);
  if (isProblem(blocks)) return blocks;
  const block = blocks.find((one) => one.label === label);
  return block === undefined ? problem('malformed', `no PEM block ${label}`) : block.der;
}
