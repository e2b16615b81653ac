import { afterEach, expect, test } from 'bun:test';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cleanUp, makeTempDir, onCleanUp } from '@sluice/testkit';
import { ApiClient } from '../mesh/api-client.ts';
import { IdentityFolder } from './identity-folder.ts';

afterEach(cleanUp);

function open(
  answer: () => Response = () => Response.json({ token: 'sluice-join.v1.abc' }, { status: 201 }),
) {
  const asked: unknown[] = [];
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    async fetch(request) {
      asked.push(await request.json());
      return answer();
    },
  });
  onCleanUp(() => server.stop(true));
  const stateDir = makeTempDir();
  const folder = new IdentityFolder({
    client: new ApiClient({ apiUrl: `http://127.0.0.1:${server.port}`, token: 'operator' }),
    stateDir,
    name: 'cart-0',
    namespace: 'shop',
    serviceAccount: 'cart',
    authority: '127.0.0.1:15012',
  });
  return { folder, asked, path: join(stateDir, 'identity', 'cart-0.shop') };
}

const modeOf = (path: string): number => statSync(path).mode & 0o777;

test('a sidecar gets a token for itself alone, by a file that only its owner reads', async () => {
  const { folder, asked, path } = open();
  await folder.prepare();
  expect(asked).toEqual([{ namespace: 'shop', serviceAccount: 'cart', instance: 'cart-0.shop' }]);
  const file = join(path, 'join-token');
  expect(readFileSync(file, 'utf8')).toBe('sluice-join.v1.abc\n');
  expect([modeOf(path), modeOf(file)]).toEqual([0o700, 0o600]);
  expect(folder.flags).toEqual([
    '--ca-address',
    '127.0.0.1:15012',
    '--identity-token-file',
    file,
    '--identity-dir',
    path,
    '--allow-expired-renewal-s',
    '172800',
  ]);
  expect(folder.flags.join(' ')).not.toContain('sluice-join');
});

test('what an earlier mesh left is gone before the new token is there, and all of it with the sidecar', async () => {
  const { folder, path } = open();
  await folder.prepare();
  const left = join(path, 'credential.pem');
  writeFileSync(left, 'of an authority that is gone');
  await folder.prepare();
  expect(existsSync(left)).toBe(false);
  folder.remove();
  expect(existsSync(path)).toBe(false);
});

test('a control plane that gives no token hinders the start, in its own words', async () => {
  const { folder, path } = open(() => Response.json({ message: 'the disk is full' }, { status: 507 }));
  await expect(folder.prepare()).rejects.toThrow('the disk is full');
  expect(existsSync(path)).toBe(false);
});
