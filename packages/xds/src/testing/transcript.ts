/**
 * Transcripts: a file of commands, each followed by `----` and what it must print, separated by blank lines.
 * Lines that begin with `#` explain. `SLUICE_UPDATE_TRANSCRIPTS=1` rewrites the expectations.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'bun:test';

/** Runs one command of a transcript; what it returns is compared. */
export type TranscriptRunner = (command: string) => string;

export function testTranscript(title: string, path: string, start: () => TranscriptRunner): void {
  test(title, () => {
    const blocks = readFileSync(path, 'utf8')
      .trimEnd()
      .split(/\n{2,}/);
    const run = start();
    const actual = blocks.map((block) => runBlock(block, run));
    if (process.env['SLUICE_UPDATE_TRANSCRIPTS'] !== undefined)
      writeFileSync(path, `${actual.join('\n\n')}\n`);
    else expect(actual.join('\n\n')).toBe(blocks.join('\n\n'));
  });
}

function runBlock(block: string, run: TranscriptRunner): string {
  const [input = ''] = block.split(/^----$/m);
  const lines = input.trimEnd().split('\n');
  const commands = lines.filter((line) => line !== '' && !line.startsWith('#'));
  if (commands.length === 0) return block;
  const output = commands.map((command) => run(command)).filter((text) => text !== '');
  return [...lines, '----', ...(output.length === 0 ? ['(nothing)'] : output)].join('\n');
}
