import { afterEach, expect, test } from 'bun:test';
import { chmodSync, chownSync, existsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cleanUp, makeTempDir } from '@sluice/testkit';
import { IdentityDir } from './identity-dir.ts';

afterEach(cleanUp);

const modeOf = (path: string): number => statSync(path).mode & 0o777;

test('what is saved is found by the next process, in files that nobody else reads', () => {
  const path = join(makeTempDir(), 'deep', 'identity');
  const before = Date.now();
  const dir = new IdentityDir(path);
  expect(dir.load()).toBeNull();
  expect(dir.loadRoots()).toBeNull();
  dir.save('key and chain');
  dir.saveRoots('roots');
  dir.save('newer');
  const next = new IdentityDir(path);
  expect(next.load()?.pem).toBe('newer');
  expect(next.load()?.obtainedMs).toBeGreaterThanOrEqual(before - 1_000);
  expect(next.loadRoots()).toBe('roots');
  expect([modeOf(path), modeOf(join(path, 'credential.pem')), modeOf(join(path, 'roots.pem'))]).toEqual([
    0o700, 0o600, 0o600,
  ]);
  expect(existsSync(join(path, 'credential.pem.new'))).toBe(false);
  expect(next.loadRevocations()).toBeNull();
  dir.saveRevocations('lists');
  expect(next.loadRevocations()).toBe('lists');
  expect(modeOf(join(path, 'revocations.pem'))).toBe(0o600);
  dir.saveRevocations('');
  expect(next.loadRevocations()).toBeNull();
  expect(next.loadPendingKey()).toBeNull();
  next.savePendingKey('key');
  expect(dir.loadPendingKey()).toBe('key');
  expect(modeOf(join(path, 'pending-key.pem'))).toBe(0o600);
  next.savePendingKey(null);
  expect(dir.loadPendingKey()).toBeNull();
});

test('wider modes are narrowed, and what a crash left half written does not matter', () => {
  const path = makeTempDir();
  chmodSync(path, 0o755);
  writeFileSync(join(path, 'credential.pem'), 'old', { mode: 0o644 });
  writeFileSync(join(path, 'credential.pem.new'), 'hal', { mode: 0o644 });
  const dir = new IdentityDir(path);
  expect(dir.load()?.pem).toBe('old');
  expect([modeOf(path), modeOf(join(path, 'credential.pem'))]).toEqual([0o700, 0o600]);
  dir.save('new');
  expect(dir.load()?.pem).toBe('new');
  expect(modeOf(join(path, 'credential.pem'))).toBe(0o600);
});

test('what belongs to another user is refused, the directory as well as a file in it', () => {
  const path = makeTempDir();
  const { uid } = statSync(path);
  new IdentityDir(path, uid).save('mine');
  expect(() => new IdentityDir(path, uid + 1)).toThrow(
    `${path} belongs to another user (uid ${uid}, this process runs as ${uid + 1})`,
  );
  expect(new IdentityDir(path, uid).load()?.pem).toBe('mine');
});

test.if(process.geteuid?.() === 0)('root takes no file that another user has put there', () => {
  const path = makeTempDir();
  const file = join(path, 'roots.pem');
  writeFileSync(file, 'theirs');
  chownSync(file, 65_534, 65_534);
  expect(() => new IdentityDir(path)).toThrow(`${file} belongs to another user (uid 65534`);
  chownSync(file, 0, 0);
  chownSync(path, 65_534, 65_534);
  expect(() => new IdentityDir(path)).toThrow(`${path} belongs to another user (uid 65534`);
});
