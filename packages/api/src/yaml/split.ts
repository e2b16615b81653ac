/**
 * Cuts a text into its documents before anything is parsed. A line that begins with `---` is a document marker
 * wherever it stands, even inside quotes (YAML 1.2.2 section 9.1.2, c-forbidden), so an open quote in one document
 * cannot swallow the next. Directives (`%YAML`) stay with the marker they precede.
 */

export interface Chunk {
  readonly text: string;
  /** Lines of the file before the chunk. */
  readonly linesBefore: number;
}

const marker = /^---(?=[ \t\r\n]|$)/gm;
const onlyPreamble = /^(?:\uFEFF?[ \t]*(?:#.*|%.*)?(?:\r?\n|\r|$))*$/;

/** Chunks with content, in order. */
export function* splitDocuments(text: string): Generator<Chunk> {
  let start = 0;
  let linesBefore = 0;
  const cut = function* (end: number): Generator<Chunk> {
    const chunk = text.slice(start, end);
    if (hasContent(chunk)) yield { text: chunk, linesBefore };
    linesBefore += countLines(chunk);
    start = end;
  };
  for (const match of text.matchAll(marker)) {
    const before = text.slice(start, match.index);
    if (before.includes('%') && onlyPreamble.test(before)) continue;
    yield* cut(match.index);
  }
  yield* cut(text.length);
}

function hasContent(chunk: string): boolean {
  return chunk.replace(/^---/, '').trim() !== '';
}

function countLines(text: string): number {
  let lines = 0;
  for (let index = text.indexOf('\n'); index >= 0; index = text.indexOf('\n', index + 1)) lines++;
  return lines;
}
