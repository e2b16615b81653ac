/** From words to a command: what is not understood, or would be ignored, is said before anything runs. */
import { describe, expect, test } from 'bun:test';
import { commands } from './commands/list.ts';
import { dispatch } from './dispatch.ts';
import { emptySurroundings, recordedOutput } from './test-surroundings.ts';

async function say(...words: string[]): Promise<{ status: number; out: string; error: string }> {
  const { said, out } = recordedOutput(80);
  const status = await dispatch(words, commands, { ...emptySurroundings('/'), out });
  return { status, ...said };
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
