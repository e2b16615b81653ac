/** Differences of two texts in `diff -u`'s form. Texts of a few thousand lines; longer ones differ as a whole. */

/** Lines around a difference. */
const contextLines = 3;
/** Beyond this the table of the comparison would be too large. */
const maxLines = 5000;

type Edit = { readonly mark: ' ' | '-' | '+'; readonly line: string };

/** Empty when the texts are equal. */
export function unifiedDiff(
  before: string,
  after: string,
  names: { readonly before: string; readonly after: string },
): string {
  if (before === after) return '';
  const edits = compare(lines(before), lines(after));
  return `--- ${names.before}\n+++ ${names.after}\n${hunks(edits).join('')}`;
}

function lines(text: string): readonly string[] {
  return text === '' ? [] : text.replace(/\n$/, '').split('\n');
}

function compare(a: readonly string[], b: readonly string[]): readonly Edit[] {
  if (a.length > maxLines || b.length > maxLines) {
    return [...a.map((line): Edit => ({ mark: '-', line })), ...b.map((line): Edit => ({ mark: '+', line }))];
  }
  const width = b.length + 1;
  // common[i * width + j]: length of the longest common subsequence of a from i and b from j.
  const common = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      const at = i * width + j;
      common[at] =
        a[i] === b[j]
          ? (common[at + width + 1] ?? 0) + 1
          : Math.max(common[at + width] ?? 0, common[at + 1] ?? 0);
    }
  }
  return walk(a, b, common);
}

function walk(a: readonly string[], b: readonly string[], common: Uint16Array): readonly Edit[] {
  const width = b.length + 1;
  const edits: Edit[] = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    const at = i * width + j;
    if (i < a.length && j < b.length && a[i] === b[j]) {
      edits.push({ mark: ' ', line: a[i++] ?? '' });
      j++;
    } else if (i < a.length && (j >= b.length || (common[at + width] ?? 0) >= (common[at + 1] ?? 0)))
      edits.push({ mark: '-', line: a[i++] ?? '' });
    else edits.push({ mark: '+', line: b[j++] ?? '' });
  }
  return edits;
}

function hunks(edits: readonly Edit[]): readonly string[] {
  const isNear = edits.map((_, index) =>
    edits.slice(Math.max(0, index - contextLines), index + contextLines + 1).some(({ mark }) => mark !== ' '),
  );
  const texts: string[] = [];
  let [lineA, lineB] = [1, 1];
  for (let index = 0; index < edits.length;) {
    const end = isNear[index] === true ? endOfRun(isNear, index) : index + 1;
    const part = edits.slice(index, end);
    const [countA, countB] = [
      part.filter(({ mark }) => mark !== '+').length,
      part.filter(({ mark }) => mark !== '-').length,
    ];
    if (isNear[index] === true)
      texts.push(
        `@@ -${range(lineA, countA)} +${range(lineB, countB)} @@\n${part.map(({ mark, line }) => `${mark}${line}\n`).join('')}`,
      );
    lineA += countA;
    lineB += countB;
    index = end;
  }
  return texts;
}

function endOfRun(isNear: readonly boolean[], from: number): number {
  const end = isNear.indexOf(false, from);
  return end < 0 ? isNear.length : end;
}

/** An empty side begins at the line before, as diff has it. */
function range(line: number, count: number): string {
  if (count === 0) return `${line - 1},0`;
  return count === 1 ? `${line}` : `${line},${count}`;
}
