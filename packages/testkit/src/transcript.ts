/**
 * Tests as transcripts: a file of commands with the output each must give, readable as a story.
 *
 *     # a comment
 *     add name=a weight=2
 *     further input lines, if any
 *     ----
 *     expected output
 *     (a blank line ends it; output with blank lines stands between two lines of "----")
 *
 * `SLUICE_REWRITE=1` writes what the program says into the file instead of comparing; the diff is then
 * reviewed like code.
 */
import { readFileSync, writeFileSync } from 'node:fs';

export interface TranscriptCommand {
  readonly name: string;
  /** `key=value` words; a bare word has the value "". Values may be quoted as JSON strings. */
  readonly args: Readonly<Record<string, string>>;
  /** Bare words in order. */
  readonly words: readonly string[];
  /** Lines between the command and `----`. */
  readonly input: string;
  /** "file:line" of the command. */
  readonly position: string;
}

/** Carries a command out and answers its output, with or without a final line break. */
export type TranscriptHandler = (command: TranscriptCommand) => string | Promise<string>;

/** Runs a transcript; throws an Error naming file and line of the first difference. */
export async function runTranscript(path: string, handle: TranscriptHandler): Promise<void> {
  const text = readFileSync(path, 'utf8');
  const isRewriting = process.env.SLUICE_REWRITE === '1';
  let rewritten = '';
  for (const block of parseTranscript(text, path)) {
    rewritten += block.preamble;
    if (block.command === undefined) continue;
    const output = withLineBreak(await handle(block.command));
    rewritten += formatOutput(output);
    if (!isRewriting && output !== block.expected) {
      throw new Error(
        `${block.command.position}: "${block.command.name}" gave other output than expected\n` +
          `--- expected\n${block.expected}--- actual\n${output}`,
      );
    }
  }
  if (isRewriting && rewritten !== text) writeFileSync(path, rewritten);
}

interface Block {
  /** Comments, blank lines, the command and its `----`, as they stand. */
  readonly preamble: string;
  readonly command: TranscriptCommand | undefined;
  readonly expected: string;
}

const separator = '----';

function* parseTranscript(text: string, path: string): Generator<Block> {
  const lines = text.replace(/\n$/, '').split('\n');
  let at = 0;
  let preamble = '';
  while (at < lines.length) {
    const line = lines[at]!;
    const position = `${path}:${at + 1}`;
    preamble += `${line}\n`;
    at++;
    if (line.trim() === '' || line.startsWith('#')) continue;
    const input: string[] = [];
    while (at < lines.length && lines[at] !== separator) {
      input.push(lines[at]!);
      preamble += `${lines[at++]}\n`;
    }
    if (at === lines.length) throw new Error(`${position}: a command without "${separator}"`);
    preamble += `${separator}\n`;
    const output = readOutput(lines, at + 1, position);
    at = output.next;
    yield { preamble, command: parseCommand(line, input, position), expected: output.text };
    preamble = '';
  }
  yield { preamble, command: undefined, expected: '' };
}

function readOutput(
  lines: readonly string[],
  start: number,
  position: string,
): { text: string; next: number } {
  const isFenced = lines[start] === separator;
  let at = isFenced ? start + 1 : start;
  const output: string[] = [];
  while (at < lines.length && lines[at] !== (isFenced ? separator : '')) output.push(lines[at++]!);
  if (isFenced && at === lines.length)
    throw new Error(`${position}: output opened by "${separator}" is not closed`);
  // The fence's own end belongs to the output; the blank line after it, to what follows.
  return { text: withLineBreak(output.join('\n')), next: isFenced ? at + 1 : at };
}

function formatOutput(output: string): string {
  if (/^----$/m.test(output)) throw new Error(`a transcript cannot hold the output line "${separator}"`);
  const needsFence = /^\n|\n\n/.test(output);
  return needsFence ? `${separator}\n${output}${separator}\n` : output;
}

function parseCommand(line: string, input: readonly string[], position: string): TranscriptCommand {
  const [name = '', ...rest] = line.match(/(?:"(?:[^"\\]|\\.)*"|[^\s"])+/g) ?? [];
  const args: Record<string, string> = {};
  const words: string[] = [];
  for (const word of rest) {
    const equals = word.indexOf('=');
    if (equals < 0) words.push(unquote(word, position));
    args[equals < 0 ? unquote(word, position) : word.slice(0, equals)] =
      equals < 0 ? '' : unquote(word.slice(equals + 1), position);
  }
  return { name, args, words, input: input.join('\n'), position };
}

function unquote(word: string, position: string): string {
  if (!word.startsWith('"')) return word;
  try {
    return String(JSON.parse(word));
  } catch (cause) {
    throw new Error(`${position}: ${word} is no JSON string`, { cause });
  }
}

function withLineBreak(text: string): string {
  return text === '' || text.endsWith('\n') ? text : `${text}\n`;
}
