/** `sluice cert`, `sluice token` and what `sluice check` says of identity, against a running control plane. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isJoinToken } from '@sluice/identity';
import { cleanUp, makeTempDir } from '@sluice/testkit';
import { ControlMesh } from './control-mesh.ts';
import { askForCertificate, identityOf, makeToken } from './identity-fixture.ts';
import { runCli, type CliResult } from './up-mesh.ts';

const timeoutMs = 60_000;

afterAll(cleanUp, timeoutMs);

describe('the command line', () => {
  const mesh = new ControlMesh();
  const folder = makeTempDir();
  const runtime = makeTempDir();

  beforeAll(() => mesh.start(), timeoutMs);

  function cli(...words: string[]): Promise<CliResult> {
    const at = ['--server', mesh.apiUrl, '--token-file', join(mesh.root, 'state', 'token')];
    return runCli([...words, ...at], { XDG_RUNTIME_DIR: runtime, NO_COLOR: '1', FORCE_COLOR: '' });
  }

  async function issue(account: string): Promise<void> {
    const { token } = await makeToken(mesh, 'shop', account);
    expect((await askForCertificate(`https://${mesh.secureAddress}`, { bearer: token })).code).toBe(0);
  }

  test(
    'makes a join token in a new 0600 file, lists it without its secret, and takes it back',
    async () => {
      const file = join(folder, 'cart.token');
      const made = await cli(
        'token',
        'create',
        '-n',
        'shop',
        '--service-account',
        'cart',
        '--ttl',
        '5m',
        '-o',
        file,
      );
      expect(made.code).toBe(0);
      const text = readFileSync(file, 'utf8').trim();
      expect(isJoinToken(text)).toBe(true);
      expect(statSync(file).mode & 0o777).toBe(0o600);
      expect(made.out).toMatch(/join token [0-9a-f]{16} for shop\/cart, good once, until /);
      expect(made.out).not.toContain(text);
      const id = /join token ([0-9a-f]{16})/.exec(made.out)?.[1] ?? '';
      const listed = await cli('token', 'list');
      expect(listed.out).toMatch(new RegExp(`${id} +shop +cart +<none> +open +in [45]`));
      expect(listed.out).not.toContain(text.slice(20));
      expect((await cli('token', 'revoke', id)).code).toBe(0);
      const refused = await askForCertificate(`https://${mesh.secureAddress}`, { bearer: text });
      expect(refused.message).toContain('was revoked');
      expect((await cli('token', 'revoke', id)).err).toContain(`there is no join token ${id}`);
    },
    timeoutMs,
  );

  test(
    'prints a token only when asked to, and overwrites no file',
    async () => {
      expect((await cli('token', 'create')).err).toContain('say where the token goes');
      const file = join(folder, 'there.token');
      expect((await cli('token', 'create', '-o', file)).code).toBe(0);
      expect((await cli('token', 'create', '-o', file)).err).toContain('exists already');
      expect(isJoinToken((await cli('token', 'create', '-o', '-')).out.trim())).toBe(true);
      expect(existsSync(join(folder, '-'))).toBe(false);
      expect((await cli('token', 'create', '--ttl', 'soon', '-o', '-')).err).toContain('is not a duration');
    },
    timeoutMs,
  );

  test(
    'shows certificates with their chain, and takes one back by its workload',
    async () => {
      await issue('cart');
      await issue('till');
      const listed = await cli('cert');
      expect(listed.code).toBe(0);
      expect(listed.out).toMatch(
        /spiffe:\/\/cluster\.local\/ns\/shop\/sa\/cart +<none> +[0-9a-f]+ +valid +\S+ \(in 23h\)/,
      );
      expect(listed.out).toMatch(/intermediate +signing +mesh/);
      const shown = await cli('cert', 'show', 'shop/cart');
      expect(shown.out).toMatch(/next renewal +in 1\dh to in 1\dh\n +chain\n +intermediate .*\n +root /);
      const revoked = await cli('cert', 'revoke', '--workload', 'shop/cart');
      expect(revoked.out).toMatch(
        /^revoked [0-9a-f]+ of spiffe:\/\/cluster\.local\/ns\/shop\/sa\/cart\nconnections by them end within seconds; [^\n]+ needs a new token [^\n]+\n$/,
      );
      expect((await cli('cert', 'revoke', '--workload', 'shop/cart')).err).toContain(
        'no certificate in force is of shop/cart',
      );
      const after = JSON.parse((await cli('cert', 'list', '-n', 'shop', '-o', 'json')).out) as {
        certificates: { serviceAccount: string; revokedAt: string | null }[];
      };
      const states = after.certificates.map((one) => [one.serviceAccount, one.revokedAt === null]);
      expect(states.sort()).toEqual([
        ['cart', false],
        ['till', true],
      ]);
    },
    timeoutMs,
  );

  test(
    'shows an instance whose certificate was revoked as such, until it has joined anew',
    async () => {
      const instance = 'safe.default';
      await mesh.register({ name: 'safe', serviceAccount: 'safe' });
      const join = async (): Promise<string> => {
        const { token } = await makeToken(mesh, 'default', 'safe', instance);
        await askForCertificate(`https://${mesh.secureAddress}`, { bearer: token });
        const { certificates } = await identityOf(mesh);
        return certificates.find((one) => one.instance === instance)?.serial ?? '';
      };
      const serial = await join();
      expect((await cli('status')).out).not.toContain('REVOKED');
      const revoked = await cli('cert', 'revoke', serial);
      expect([revoked.code, revoked.out]).toEqual([
        0,
        expect.stringContaining(`revoked ${serial} of spiffe://cluster.local/ns/default/sa/safe`),
      ]);
      const status = await cli('status');
      expect(status.code).toBe(1);
      expect(status.out).toMatch(/^safe .* REVOKED: its certificate is revoked: it needs a new join token/m);
      expect((await cli('cert', '-n', 'default')).out).toMatch(/sa\/safe +safe\.default +[0-9a-f]+ +revoked/);
      expect((await cli('check')).out).toContain('safe.default');
      await join();
      expect((await cli('status')).out).not.toContain('REVOKED');
    },
    timeoutMs,
  );

  test(
    'replaces an intermediate, and says what it does not understand',
    async () => {
      expect((await cli('cert', 'rotate', 'intermediate')).out).toContain('a new intermediate signs');
      expect((await cli('cert')).out).toMatch(/intermediate +retired/);
      expect((await cli('cert', 'rotate', 'everything')).err).toContain('say what to rotate');
      expect((await cli('cert', 'revok')).err).toContain('cert does not know "revok"');
      expect((await cli('cert', 'show', 'nobody')).err).toContain('no certificate in force is of nobody');
    },
    timeoutMs,
  );

  test(
    'checks authorities, renewals and clocks',
    async () => {
      const { out } = await cli('check');
      expect(out).toContain('√ no authority comes to its end');
      expect(out).toContain('√ every workload renews its certificate in time');
      expect(out).toMatch(/√ clocks of the control plane and of 0 proxies agree/);
    },
    timeoutMs,
  );
});
