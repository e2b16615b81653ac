import { afterEach, beforeEach, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MeshSettings } from '@sluice/api';
import { createLogger } from '@sluice/runtime';
import { hasErrorCode } from '../errors.ts';
import { loadMeshConfig, openMeshConfig, type MeshConfigSource } from './mesh-config.ts';

let root = '';
let file = '';
let source: MeshConfigSource | null = null;
let logged: string[] = [];
const onLog: { next: (() => void) | null } = { next: null };
const log = createLogger({
  component: 'mesh-config',
  write: (line) => {
    logged.push(line);
    onLog.next?.();
  },
});

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'sluice-mesh-config-'));
  file = join(root, 'sluice.yaml');
  logged = [];
});

afterEach(() => {
  source?.close();
  source = null;
  rmSync(root, { recursive: true });
});

function logLine(text: string): Promise<void> {
  return new Promise((done) => {
    const check = (): void => {
      if (!logged.some((line) => line.includes(text))) return;
      onLog.next = null;
      done();
    };
    onLog.next = check;
    check();
  });
}

test('no file is a mesh with defaults', () => {
  source = openMeshConfig({ file: undefined, log, onChange: () => {} });
  expect(source.settings).toMatchObject({
    clusterDomain: 'cluster.local',
    outboundTrafficPolicy: 'ALLOW_ANY',
  });
});

test('a broken file at the start is refused with every problem and its place', () => {
  writeFileSync(file, 'meshConfig:\n  outboundTrafficPolicy: {mode: MAYBE}\n  connectTimeout: soon\n');
  let message = '';
  try {
    loadMeshConfig(file);
  } catch (error) {
    expect(hasErrorCode(error, 'mesh-config-invalid')).toBe(true);
    message = String(error);
  }
  expect(message).toContain(`${file}:2:`);
  expect(message).toContain(`${file}:3:`);
});

test('an edit is taken over, a broken one is not, a changed domain waits for a restart', async () => {
  writeFileSync(file, 'meshConfig:\n  connectTimeout: 5s\n');
  const next = Promise.withResolvers<MeshSettings>();
  source = openMeshConfig({ file, log, onChange: (settings) => next.resolve(settings) });
  expect(source.settings.connectTimeoutMs).toBe(5000);
  writeFileSync(file, 'meshConfig:\n  connectTimeout: soon\n');
  await logLine('the last good ones stay in use');
  expect(source.settings.connectTimeoutMs).toBe(5000);
  expect(source.problems).toHaveLength(1);
  writeFileSync(file, 'meshConfig:\n  connectTimeout: 7s\n  clusterDomain: other.local\n');
  expect(await next.promise).toMatchObject({ connectTimeoutMs: 7000, clusterDomain: 'cluster.local' });
  expect(logged.join('')).toContain('clusterDomain takes effect after a restart');
});

test('a control plane that ends comes back with the last good settings, and says what is wrong now', () => {
  const lastGood = join(root, 'kept.yaml');
  const open = (): MeshConfigSource => (source = openMeshConfig({ file, lastGood, log, onChange: () => {} }));
  writeFileSync(file, 'meshConfig:\n  connectTimeout: 5s\n');
  open().close();
  writeFileSync(file, '\u0000garbage: [');
  expect(open().settings.connectTimeoutMs).toBe(5000);
  expect(source?.problems[0]).toMatchObject({ severity: 'error', file });
  expect(logged.join('')).toContain('the last good ones stay in use');
  source?.close();
  // Of another file: that one was never good.
  const other = join(root, 'other.yaml');
  writeFileSync(other, 'meshConfig: 7\n');
  expect(() => openMeshConfig({ file: other, lastGood, log, onChange: () => {} })).toThrow(/other.yaml/);
  expect(statSync(lastGood).mode & 0o777).toBe(0o600);
});
