import { afterEach, expect, test } from 'bun:test';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { withTempDir } from './temp-dir.ts';
import { runTranscript } from './transcript.ts';
import type { TranscriptCommand } from './transcript.ts';

const path = join(import.meta.dirname, 'testdata', 'calculator.txt');
const rewriteBefore = process.env.SLUICE_REWRITE;

afterEach(() => {
  if (rewriteBefore === undefined) delete process.env.SLUICE_REWRITE;
  else process.env.SLUICE_REWRITE = rewriteBefore;
});

function calculator({ name, words, args, input }: TranscriptCommand): string {
  if (name === 'silent') return '';
  if (name === 'lines') return 'a\n\nb';
  const sum = words.reduce((total, word) => total + Number(word), 0);
  return args.key === undefined ? `${sum}\n` : `${sum} key=${args.key}\n${input.replaceAll('\n', '|')}`;
}

test('a transcript runs every command and compares its output', async () => {
  const seen: string[] = [];
  await runTranscript(path, (command) => {
    seen.push(`${command.name} ${command.position.split(':').at(-1)}`);
    return calculator(command);
  });
  expect(seen).toEqual(['add 3', 'add 7', 'lines 15', 'silent 23']);
});

test('a difference names the command, its line and both outputs', () => {
  delete process.env.SLUICE_REWRITE;
  const wrong = (command: TranscriptCommand): string =>
    command.name === 'lines' ? 'c' : calculator(command);
  return expect(runTranscript(path, wrong)).rejects.toThrow(
    /calculator\.txt:15: "lines".*\na\n\nb\n.*\nc\n/s,
  );
});

test('rewriting records what the program says and leaves the rest as it stands', () =>
  withTempDir(async (dir) => {
    const copy = join(dir, 'copy.txt');
    const text = readFileSync(path, 'utf8');
    writeFileSync(copy, text.replace('\n5\n', '\n6\n').replace('a\n\nb', 'x'));
    process.env.SLUICE_REWRITE = '1';
    await runTranscript(copy, calculator);
    expect(readFileSync(copy, 'utf8')).toBe(text);
  }));

test('a broken transcript says where', () =>
  withTempDir(async (dir) => {
    const copy = join(dir, 'copy.txt');
    writeFileSync(copy, '\nadd 1\n');
    await expect(runTranscript(copy, calculator)).rejects.toThrow('copy.txt:2: a command without');
    writeFileSync(copy, 'lines\n----\n----\na\n');
    await expect(runTranscript(copy, calculator)).rejects.toThrow('copy.txt:1: output opened by');
  }));
