/**
 * Columns as kubectl draws them: upper-case heads, three blanks between, nothing after the last. In a terminal that is
 * too narrow the blanks become two, and what still finds no room goes below, indented: a terminal that breaks lines by
 * itself makes a table unreadable. Where nobody looks (a pipe), each row stays one line, for grep.
 */

/** Blanks between columns. */
const gap = 3;
const narrowGap = 2;
/** Blanks before what continues a row. */
const indent = 4;

/**
 * Lines with their breaks. Cells are cleaned: what a workload calls itself must not move the cursor.
 * `columns` is the width of the terminal, 0 where there is none.
 */
export function renderTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  columns = 0,
): string {
  const lines = [head, ...rows].map((row) => head.map((_, index) => cleanCell(row[index] ?? '')));
  const widths = head.map((_, index) => Math.max(...lines.map((line) => Bun.stringWidth(line[index] ?? ''))));
  const wide = sum(widths) + gap * (widths.length - 1);
  if (columns === 0 || wide <= columns)
    return lines.map((line) => `${joinCells(line, widths, gap)}\n`).join('');
  const groups = groupColumns(widths, columns);
  return lines
    .flatMap((line) =>
      groups.map(({ from, to }, index) => {
        const text = joinCells(line.slice(from, to), widths.slice(from, to), narrowGap);
        return text === '' && index > 0 ? '' : `${index === 0 ? '' : ' '.repeat(indent)}${text}\n`;
      }),
    )
    .join('');
}

interface ColumnGroup {
  readonly from: number;
  readonly to: number;
}

/** Neighbouring columns that fit into one line; one that is too wide by itself has a line to itself. */
function groupColumns(widths: readonly number[], columns: number): readonly ColumnGroup[] {
  const groups: ColumnGroup[] = [];
  let from = 0;
  let used = 0;
  for (const [at, width] of widths.entries()) {
    if (at > from && used + narrowGap + width > columns) {
      groups.push({ from, to: at });
      from = at;
      used = indent + width;
    } else used += at === from ? width : narrowGap + width;
  }
  return [...groups, { from, to: widths.length }];
}

/** `<none>` where there is nothing, as kubectl's tables say it. */
export function orNone(text: string): string {
  return text === '' ? '<none>' : text;
}

/** Control characters out, so that no text can forge lines or colours. */
export function cleanCell(text: string): string {
  return text.replaceAll(/[\p{Cc}\u2028\u2029]+/gu, ' ');
}

function joinCells(cells: readonly string[], widths: readonly number[], between: number): string {
  return cells
    .map((cell, index) => cell + ' '.repeat((widths[index] ?? 0) - Bun.stringWidth(cell) + between))
    .join('')
    .trimEnd();
}

function sum(widths: readonly number[]): number {
  return widths.reduce((total, width) => total + width, 0);
}
