/**
 * The bookstore's scenarios, run as their READMEs say: every ```console block's commands in order, each compared with
 * the lines below it. In those lines `…` stands for any text, `~80` for a number within twenty of 80, and blanks
 * count as one. A command that only looks is tried again for a while: configuration takes a moment to arrive.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cleanUp, makeTempDir } from '@sluice/testkit';
import { cliMain, MeshUnderTest, projectRoot } from './up-mesh.ts';

const bookstore = join(projectRoot, 'examples/bookstore');
const scenarios = join(bookstore, 'scenarios');
const settleTimeoutMs = 20_000;
const timeoutMs = 120_000;
/** How far a `~` number may be off: four standard deviations of a hundred draws at one half, and less elsewhere. */
const tolerance = 20;

interface Step {
  readonly command: string;
  readonly expected: readonly string[];
}

function stepsOf(readme: string): readonly Step[] {
  const steps: { command: string; expected: string[] }[] = [];
  for (const [, block = ''] of readme.matchAll(/```console\n([\s\S]*?)```/g)) {
    for (const line of block.trimEnd().split('\n')) {
      if (line.startsWith('$ ')) steps.push({ command: line.slice(2), expected: [] });
      else steps.at(-1)?.expected.push(line);
    }
  }
  return steps;
}

function isAsExpected(output: string, expected: readonly string[]): boolean {
  const lines = output
    .split('\n')
    .map(plain)
    .filter((line) => line !== '');
  return (
    lines.length === expected.length &&
    expected.every((line, index) => lineFits(lines[index] ?? '', plain(line)))
  );
}

function lineFits(line: string, expected: string): boolean {
  const about = /^~(\d+) (.*)$/.exec(expected);
  if (about === null) return new RegExp(`^${expected.split('…').map(RegExp.escape).join('.*')}$`).test(line);
  const actual = /^(\d+) (.*)$/.exec(line);
  return (
    actual !== null && actual[2] === about[2] && Math.abs(Number(actual[1]) - Number(about[1])) <= tolerance
  );
}

function plain(line: string): string {
  return line.replaceAll(/\s+/g, ' ').trim();
}

const changes = /\bsluice (?:apply|delete)\b/;

async function runStep({ command, expected }: Step, cwd: string, env: Record<string, string>): Promise<void> {
  const deadlineMs = performance.now() + settleTimeoutMs;
  for (;;) {
    const child = Bun.spawn(['bash', '-o', 'pipefail', '-c', command], {
      cwd,
      env: { ...process.env, ...env },
      stdout: 'pipe',
      stderr: 'pipe',
    });
    const [output, errors, code] = await Promise.all([
      child.stdout.text(),
      child.stderr.text(),
      child.exited,
    ]);
    const isFine = expected.length === 0 ? code === 0 : isAsExpected(output, expected);
    if (isFine) return;
    if (changes.test(command) || performance.now() > deadlineMs) {
      throw new Error(
        `$ ${command}\n${output}${errors}(status ${code}), but expected\n${expected.join('\n')}`,
      );
    }
  }
}

afterAll(cleanUp, timeoutMs);

describe.if(process.platform === 'linux')('the bookstore', () => {
  let mesh: MeshUnderTest;
  let env: Record<string, string>;

  beforeAll(async () => {
    mesh = await MeshUnderTest.start(bookstore, { args: ['--plain'] });
    const bin = makeTempDir();
    writeFileSync(join(bin, 'sluice'), `#!/bin/sh\nexec '${process.execPath}' '${cliMain}' "$@"\n`);
    chmodSync(join(bin, 'sluice'), 0o755);
    env = { ...mesh.env(), PATH: `${bin}:${process.env['PATH'] ?? ''}`, FRONT: await mesh.url('storefront') };
  }, timeoutMs);

  afterAll(async () => {
    expect(await mesh.up.stop()).toBe(0);
    expect(mesh.processes()).toEqual([]);
  }, timeoutMs);

  test('its configuration has no findings', async () => {
    expect(await mesh.cli('analyze', join(bookstore, 'mesh'), '--fail-on', 'warning')).toMatchObject({
      code: 0,
      out: '',
    });
  });

  test('the page shows the book, its reviews and who answered', async () => {
    const response = await fetch(`${env['FRONT']}/?book=dracula`, { headers: { 'end-user': '<ada>' } });
    const html = await response.text();
    expect(response.headers.get('content-type')).toContain('text/html');
    expect(html).toContain('<h1>Dracula</h1>');
    expect(html).toMatch(/reviews-v[123] \(v[123]\)/);
    expect(html).toMatch(/inventory-[01]/);
    expect(html).toContain('user &lt;ada&gt;');
  });

  for (const name of readdirSync(scenarios).sort()) {
    const steps = stepsOf(readFileSync(join(scenarios, name, 'README.md'), 'utf8'));
    test(
      `${name} does what its README says`,
      async () => {
        expect(steps.length).toBeGreaterThan(2);
        try {
          for (const step of steps) await runStep(step, join(scenarios, name), env);
          expect(await mesh.out('get', 'virtualservices', '-o', 'name')).toBe('');
        } finally {
          // One scenario that fails is to fail alone.
          await mesh.cli('delete', 'virtualservices', '--all');
        }
      },
      timeoutMs,
    );
  }
});

const languages = {
  catalog: ['python3', 'Python'],
  ratings: ['go', 'Go'],
  shipping: ['java', 'Java'],
} as const;
const found = Object.entries(languages).filter(([, [program]]) => Bun.which(program) !== null);

test.if(process.platform === 'linux' && found.length > 0)(
  'services run in the other languages that are found, and up says which',
  async () => {
    const mesh = await MeshUnderTest.start(bookstore);
    const front = await mesh.url('storefront');
    const page = await (await fetch(`${front}/?book=middlemarch`)).text();
    for (const [name, [program, language]] of found) {
      expect(mesh.up.output).toContain(`${program} for ${name}`);
      const reply = await fetch(`${await mesh.url(name)}/${paths[name] ?? ''}`);
      expect(await reply.json()).toMatchObject({ language });
    }
    expect(page).toContain('<h1>Middlemarch</h1>');
    expect(await mesh.up.stop()).toBe(0);
    expect(mesh.processes()).toEqual([]);
  },
  timeoutMs,
);

const paths: Readonly<Record<string, string>> = {
  catalog: 'books/dracula',
  ratings: 'ratings/dracula',
  shipping: 'shipping/dracula',
};

test('expected lines are compared as the README says', () => {
  expect(isAsExpected('  74 "v1"\n  26 "v2"\n', ['~80 "v1"', '~20 "v2"'])).toBe(true);
  expect(isAsExpected('  99 "v1"\n', ['~70 "v1"'])).toBe(false);
  expect(isAsExpected('  74 "v1"\n  26 "v2"\n', ['~80 "v1"'])).toBe(false);
  expect(isAsExpected('reason: request-timeout!', ['reason: …timeout…'])).toBe(true);
  expect(isAsExpected('reason: none', ['reason: …timeout…'])).toBe(false);
});
