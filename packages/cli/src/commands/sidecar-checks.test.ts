import { expect, test } from 'bun:test';
import { findLosses } from './sidecar-checks.ts';

test('losses of all listeners of a sidecar are added up and told with a remedy; none is fine', () => {
  const page = [
    'listener.127.0.0.1_8080.downstream_cx_overflow: 870',
    'listener.127.0.0.1_23648.downstream_cx_overflow: 3',
    'sluice_access_log_dropped_total: 0',
  ].join('\n');
  const [connections, lines] = findLosses([
    { instance: 'web.default', text: page },
    { instance: 'api.default', text: '' },
  ]);
  expect(connections).toMatchObject({ state: 'notice' });
  expect(connections?.hint).toContain('web.default: 873 connections closed');
  expect(connections?.hint).toContain('ulimit -n');
  expect(connections?.hint).not.toContain('api.default');
  expect(lines).toEqual({ what: 'no sidecar has dropped lines of its access log', state: 'fine' });
});
