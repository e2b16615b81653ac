/** Colours of the terminal; every function gives its text back unchanged where there are none. */

export interface Palette {
  readonly isColoured: boolean;
  bold(text: string): string;
  dim(text: string): string;
  good(text: string): string;
  warn(text: string): string;
  bad(text: string): string;
  /** One of the colours for prefixes, the same for the same number. */
  nth(index: number, text: string): string;
}

/** Cyan, yellow, magenta, blue, green and their bright twins: readable on dark and light. */
const prefixColours = [36, 33, 35, 34, 32, 96, 93, 95, 94, 92];

export function createPalette(isColoured: boolean): Palette {
  const paint = (code: number, text: string): string =>
    isColoured ? `\u001b[${code}m${text}\u001b[0m` : text;
  return {
    isColoured,
    bold: (text) => paint(1, text),
    dim: (text) => paint(2, text),
    good: (text) => paint(32, text),
    warn: (text) => paint(33, text),
    bad: (text) => paint(31, text),
    nth: (index, text) => paint(prefixColours[index % prefixColours.length] ?? 36, text),
  };
}

/** NO_COLOR and FORCE_COLOR win over what the output is. */
export function wantsColour(env: Readonly<Record<string, string | undefined>>, isTerminal: boolean): boolean {
  if ((env['NO_COLOR'] ?? '') !== '') return false;
  const forced = env['FORCE_COLOR'];
  if (forced !== undefined && forced !== '') return forced !== '0';
  return isTerminal && env['TERM'] !== 'dumb';
}
