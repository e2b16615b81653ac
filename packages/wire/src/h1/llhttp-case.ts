/** The HTTP/1 cases of nodejs/llhttp, as data: the octets that each describes. */
import { latin1Bytes } from '../headers/bytes.ts';

export interface LlhttpCase {
  readonly file: string;
  readonly title: string;
  readonly type: string | null;
  readonly lenient: boolean;
  readonly input: string;
  readonly log: string;
}

/** Octets of a case: joined lines, CRLF for line breaks, then written-out escapes. */
export function caseBytes(input: string): Uint8Array {
  const joined = input.replace(/\n$/, '').replaceAll('\\\n', '').replaceAll('\n', '\r\n');
  const expanded = joined.replace(/\$\{([^}]*)\}/g, (_, expression: string) => evaluate(expression));
  const octets = Buffer.from(expanded, 'utf8').toString('latin1');
  return latin1Bytes(
    octets.replace(/\\(r|n|t|f|x[0-9a-fA-F]{2}|[0-7]{1,3})/g, (_, escape: string) => unescape(escape)),
  );
}

/** The one kind of expression that the cases use: a literal repeated. */
function evaluate(expression: string): string {
  const repeated = /^'([^']*)'\.repeat\((\d+)\)$/.exec(expression.trim());
  if (repeated === null) throw new Error(`a case uses an expression that is not known: ${expression}`);
  return repeated[1]!.repeat(Number(repeated[2]));
}

function unescape(escape: string): string {
  const letters: Readonly<Record<string, string>> = { r: '\r', n: '\n', t: '\t', f: '\f' };
  if (escape in letters) return letters[escape]!;
  if (escape.startsWith('x')) return String.fromCharCode(Number.parseInt(escape.slice(1), 16));
  return /^[0-7]/.test(escape) ? String.fromCharCode(Number.parseInt(escape, 8)) : escape;
}
