/**
 * Envoy's substitution syntax: `literal %NAME% %NAME(argument)% %NAME(argument):length% %%`.
 *
 * Only the grammar lives here; what the names mean is `operators.ts`.
 */

export type FormatPiece =
  | { readonly kind: 'literal'; readonly text: string }
  | {
      readonly kind: 'operator';
      readonly name: string;
      readonly argument: string;
      readonly maxLength: number | undefined;
    };

const OPERATOR = /^%([A-Z][A-Z0-9_]*)(?:\(([^)]*)\))?(?::(\d+))?%/;

/** Splits a format; malformed places are reported in words and left out. */
export function parseFormat(format: string, problems: string[]): FormatPiece[] {
  const pieces: FormatPiece[] = [];
  let literal = '';
  const flush = (): void => {
    if (literal !== '') pieces.push({ kind: 'literal', text: literal });
    literal = '';
  };
  let at = 0;
  while (at < format.length) {
    const percent = format.indexOf('%', at);
    if (percent < 0) {
      literal += format.slice(at);
      break;
    }
    literal += format.slice(at, percent);
    if (format[percent + 1] === '%') {
      literal += '%';
      at = percent + 2;
      continue;
    }
    const operator = readOperator(format, percent);
    if (operator === null) {
      problems.push(`malformed operator at offset ${percent} of "${format}"; write %% for a percent sign`);
      flush();
      return pieces;
    }
    flush();
    pieces.push(operator.piece);
    at = operator.end;
  }
  flush();
  return pieces;
}

/** Reads from the `%` at `start`. An argument may hold anything but `)`, a time pattern's `%` included. */
function readOperator(format: string, start: number): { piece: FormatPiece; end: number } | null {
  const match = OPERATOR.exec(format.slice(start));
  if (match === null) return null;
  const [whole, name = '', argument = '', length] = match;
  const maxLength = length === undefined ? undefined : Number(length);
  return { piece: { kind: 'operator', name, argument, maxLength }, end: start + whole.length };
}
