import { expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { cleanMappings, releaseStartupPages } from './startup-pages.ts';

const mapping = (range: string, access: string, path: string, anonymousKb: number): string =>
  `${range} ${access} 00000000 fe:00 1234    ${path}\nSize:  8 kB\nRss:  8 kB\nAnonymous:     ${anonymousKb} kB\nVmFlags: rd ex\n`;

test('only what is mapped from the file, is never written and has no page of its own is let go', () => {
  const smaps = [
    mapping('00200000-00202000', 'r--p', '/usr/bin/bun', 0),
    mapping('01a40000-01a42000', 'r-xp', '/usr/bin/bun', 0),
    mapping('0684a000-0684c000', 'r--p', '/usr/bin/bun', 4), // Relocated: the page is no longer the file's.
    mapping('06868000-0686a000', 'rw-p', '/usr/bin/bun', 0),
    mapping('7f0000000000-7f0000002000', 'r-xp', '/usr/lib/libc.so.6', 0),
    mapping('7f0000004000-7f0000006000', 'r-xp', '/usr/bin/bun (deleted)', 0),
    mapping('7f0000008000-7f000000a000', 'rwxp', '', 8),
  ].join('');
  expect(cleanMappings(smaps, '/usr/bin/bun')).toEqual([
    { start: 0x200000, end: 0x202000 },
    { start: 0x1a40000, end: 0x1a42000 },
  ]);
  expect(cleanMappings(smaps, '/usr/bin/bun (deleted)')).toEqual([
    { start: 0x7f0000004000, end: 0x7f0000006000 },
  ]);
  expect(cleanMappings('', '/usr/bin/bun')).toEqual([]);
});

test.skipIf(process.platform !== 'linux')('the process goes on, and holds fewer pages of files', () => {
  const fileKb = (): number =>
    Number(/^RssFile:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1]);
  const before = fileKb();
  expect(releaseStartupPages()).toBeGreaterThan(20 * 1024 * 1024);
  expect(fileKb()).toBeLessThan(before);
  expect(JSON.parse('{"still": ["here"]}')).toEqual({ still: ['here'] });
});
