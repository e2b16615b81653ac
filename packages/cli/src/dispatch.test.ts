/** From words to a command: what is not understood, or would be ignored, is said before anything runs. */
import { describe, expect, test } from 'bun:test';
import { commands } from './commands/list.ts';
import { dispatch, type Surroundings } from './dispatch.ts';
import { createPalette } from './output/palette.ts';

async function say(...words: string[]): Promise<{ status: number; out: string; error: string }> {
  const written = { out: '', error: '' };
  const world: Surroundings = {
    out: {
      write: (text) => void (written.out += text),
      writeError: (text) => void (written.error += text),
      isTerminal: false,
      columns: 80,
      palette: createPalette(false),
    },
    env: {},
    cwd: '/',
    readStdin: () => Promise.resolve(''),
    signals: {
      listen: () => ({ stop: () => {} }),
      exit: (status) => {
        throw new Error(`exit ${status}`);
      },
    },
    invokedAs: 'sluice',
  };
  const status = await dispatch(words, commands, world);
  return { status, ...written };
}

describe('a word too many is refused, never ignored', () => {
  test.each([
    [['dashboard', 'kiali'], /dashboard takes no argument, and "kiali" is one too many/],
    [['status', 'web', 'cart'], /takes at most 1, and "cart"/],
    [['apply', 'mesh.yaml'], /files go after -f \(apply -f mesh.yaml\)/],
    [['run', 'node', 'web.js'], /after two dashes: run -- node web.js/],
    [['run', 'python3', '-m', 'http.server'], /run -- python3 -m http.server/],
  ] as const)('%p', async (words, message) => {
    const { status, error } = await say(...words);
    expect(status).toBe(2);
    expect(error).toMatch(message);
  });
});

describe('names from elsewhere', () => {
  test.each([
    ['ps', 'status'],
    ['proxy-status', 'status'],
    ['pc', 'proxy-config'],
    ['validate', 'analyze'],
  ])('%s is %s', async (alias, name) => {
    const { status, out } = await say(alias, '--help');
    expect(status).toBe(0);
    expect(out).toContain(`Usage: sluice ${name}`);
    expect(out).toMatch(new RegExp(`Also: .*${alias}`));
  });

  test.each(['create', 'edit', 'port-forward', 'api-resources'])(
    'say what does it here: %s',
    async (name) => {
      const { status, error } = await say(name, 'x');
      expect(status).toBe(2);
      expect(error).toMatch(/there is no command ".*": .*(sluice (apply|url|get))/);
    },
  );
});
