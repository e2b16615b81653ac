/** Backups by command: what is printed, and what refusals say. */
import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { withTempDir } from '@sluice/testkit';
import { openStateFile } from './source/state-file.ts';
import { runStateCommand } from './state-command.ts';

test('other words are none of its business', () => {
  expect(runStateCommand(['--state-dir', 'x'])).toBeNull();
  expect(runStateCommand([])).toBeNull();
});

test('a state goes into a backup and comes back', () =>
  withTempDir((dir) => {
    const stateDir = join(dir, 'state');
    openStateFile(stateDir).close();
    const file = join(dir, 'backup.db');
    const saved = runStateCommand(['backup', file, '--state-dir', stateDir]);
    expect(saved).toMatchObject({ status: 0, error: '' });
    expect(JSON.parse(saved?.output ?? '')).toMatchObject({ path: file, resources: 0 });
    const target = join(dir, 'other');
    expect(runStateCommand(['restore', file, '--state-dir', target])).toMatchObject({ status: 0 });
    openStateFile(target).close();
  }));

test('what cannot be done is said with a status', () =>
  withTempDir((dir) => {
    expect(runStateCommand(['backup', join(dir, 'b'), '--state-dir', join(dir, 'none')])).toMatchObject({
      status: 1,
      output: '',
    });
    expect(runStateCommand(['backup'])).toMatchObject({ status: 2 });
    expect(runStateCommand(['restore', 'x', '--wrong'])).toMatchObject({ status: 2 });
  }));
