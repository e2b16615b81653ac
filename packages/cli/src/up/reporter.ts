/**
 * What the user sees of a running mesh: lines of the mesh and of its applications, each with who says it. Lines of
 * applications also go to their log files.
 */
import type { Output } from '../context.ts';
import { cleanCell } from '../output/table.ts';

export interface Reporter {
  /** The mesh itself. */
  say(text: string): void;
  warn(text: string): void;
  /** About one instance: its state. */
  about(instance: string, text: string, tone?: 'plain' | 'good' | 'bad'): void;
  /** A line that an application wrote. */
  line(instance: string, text: string): void;
}

const meshName = 'sluice';

export function createReporter(out: Output, instances: readonly string[]): Reporter {
  const width = Math.max(meshName.length, ...instances.map((name) => name.length));
  const { palette } = out;
  const order = new Map(instances.map((name, index) => [name, index]));
  const prefix = (name: string): string =>
    `${palette.nth(order.get(name) ?? 0, name.padEnd(width))} ${palette.dim('│')} `;
  const own = `${palette.bold(meshName.padEnd(width))} ${palette.dim('│')} `;
  return {
    say: (text) => out.write(`${own}${text}\n`),
    warn: (text) => out.write(`${own}${palette.warn(text)}\n`),
    about: (instance, text, tone = 'plain') => {
      const toned =
        tone === 'good' ? palette.good(text) : tone === 'bad' ? palette.bad(text) : palette.dim(text);
      out.write(`${prefix(instance)}${toned}\n`);
    },
    line: (instance, text) => out.write(`${prefix(instance)}${printable(text, palette.isColoured)}\n`),
  };
}

/** Colours of an application may pass to a terminal; whatever moves the cursor or rings may not. */
function printable(text: string, keepsColours: boolean): string {
  if (!keepsColours) return cleanCell(Bun.stripANSI(text).replaceAll('\t', '  '));
  const parts = text.split(/(\p{Cc}\[[\d;]*m)/u);
  return parts
    .map((part) =>
      part.startsWith('\u001b[') && part.endsWith('m') ? part : cleanCell(part.replaceAll('\t', '  ')),
    )
    .join('');
}

/** Cuts a stream of text into lines; a line without an end is given out when it grows long, or by `flush`. */
export class LineCutter {
  readonly #onLine: (line: string) => void;
  #partial = '';

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  push(text: string): void {
    const lines = (this.#partial + text).split('\n');
    this.#partial = lines.pop() ?? '';
    for (const line of lines) this.#onLine(line.endsWith('\r') ? line.slice(0, -1) : line);
    if (this.#partial.length > maxLineLength) this.flush();
  }

  flush(): void {
    if (this.#partial === '') return;
    this.#onLine(this.#partial);
    this.#partial = '';
  }
}

/** Characters. */
const maxLineLength = 16_384;
