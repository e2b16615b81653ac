/** What people read first has to fit where they read it. */
import { describe, expect, test } from 'bun:test';
import { commands } from '../commands/list.ts';
import { renderHelp, renderOverview } from './help.ts';

const invokedAs = 'sluice';
const tooWide = (text: string): readonly string[] => text.split('\n').filter((line) => line.length > 80);

describe('help', () => {
  test('of all commands fits into 80 columns and names each', () => {
    const text = renderOverview(commands, invokedAs);
    expect(tooWide(text)).toEqual([]);
    for (const { name } of commands) expect(text).toContain(`\n  ${name} `);
  });

  test.each(commands.map((spec) => [spec.name, spec] as const))(
    'of %s fits, says every flag and every word of its text',
    (_, spec) => {
      const text = renderHelp(spec, invokedAs);
      expect(tooWide(text)).toEqual([]);
      const words = text.replaceAll(/\s+/g, ' ');
      for (const { name, about } of spec.flags) {
        expect(text).toContain(`--${name}`);
        expect(words).toContain(about);
      }
    },
  );
});
