import { afterEach, describe, expect, test } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatJoinToken, newJoinToken } from '@sluice/identity';
import { cleanUp, makeTempDir, TestAuthority } from '@sluice/testkit';
import { readTokenFile } from './token-file.ts';

afterEach(cleanUp);

function holding(text: string): string {
  const path = join(makeTempDir(), 'token');
  writeFileSync(path, text);
  return path;
}

const joinToken = formatJoinToken(newJoinToken(['ab'.repeat(32)]));

describe('a token file', () => {
  test('holds a join token or a JWT, with white space around it', () => {
    expect(readTokenFile(holding(`${joinToken}\n`))).toBe(joinToken);
    expect(readTokenFile(holding(' eyJh.eyJp.c2ln \r\n'))).toBe('eyJh.eyJp.c2ln');
  });

  test('that is empty has been used up', () => {
    expect(readTokenFile(holding('\n'))).toBeNull();
  });

  test.each([
    ['a certificate or a key', () => new TestAuthority().leaf().keyPem, 'a token is one word'],
    ['a cut join token', () => joinToken.slice(0, -9), 'a join token whose content is not as it was made'],
    ['a long file', () => 'x'.repeat(20_000), 'has more than 16384 bytes'],
    ['bytes of any kind', () => 'a\u0000'.repeat(60), 'a token is one word'],
  ])('with %s in it is refused by name, and nothing of it repeated', (_, text, why) => {
    const path = holding(text());
    expect(() => readTokenFile(path)).toThrow(`--identity-token-file ${path}: ${why}`);
    try {
      readTokenFile(path);
    } catch (error) {
      expect(String(error)).not.toContain(text().slice(30, 60));
    }
  });

  test('that is not there is told by name', () => {
    expect(() => readTokenFile('/nowhere/token')).toThrow(
      '--identity-token-file /nowhere/token: cannot be read (ENOENT)',
    );
  });
});
