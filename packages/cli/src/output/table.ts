/** Columns as kubectl draws them: upper-case heads, two blanks and more between, nothing after the last. */

/** Blanks between columns. */
const gap = 3;

/** Lines with their breaks. Cells are cleaned: what a workload calls itself must not move the cursor. */
export function renderTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, ...rows].map((row) => head.map((_, index) => cleanCell(row[index] ?? '')));
  const widths = head.map((_, index) => Math.max(...lines.map((line) => Bun.stringWidth(line[index] ?? ''))));
  return lines.map((line) => `${joinCells(line, widths)}\n`).join('');
}

/** `<none>` where there is nothing, as kubectl's tables say it. */
export function orNone(text: string): string {
  return text === '' ? '<none>' : text;
}

/** Control characters out, so that no text can forge lines or colours. */
export function cleanCell(text: string): string {
  return text.replaceAll(/[\p{Cc}\u2028\u2029]+/gu, ' ');
}

function joinCells(cells: readonly string[], widths: readonly number[]): string {
  return cells
    .map((cell, index) => cell + ' '.repeat((widths[index] ?? 0) - Bun.stringWidth(cell) + gap))
    .join('')
    .trimEnd();
}
