import { beforeEach, describe, expect, test } from 'bun:test';
import {
  call,
  events,
  openTestApi,
  respond,
  service,
  services,
  virtualService,
  virtualServices,
  type WatchLine,
} from './api-fixture.ts';

beforeEach(() => void openTestApi());

describe('watch', () => {
  test('without a revision it begins with what is there, then follows', async () => {
    await call('POST', services, service('a'));
    const seen = await events(`${services}?watch=true`, 4, async () => {
      await call('POST', services, service('b'));
      await call('PUT', `${services}/b`, service('b', { labels: { x: '1' } }));
      await call('DELETE', `${services}/b`);
      await call('POST', virtualServices, virtualService('unrelated'));
    });
    expect(
      seen.map((event) => [event.type, event.object.metadata.name, event.object.metadata.resourceVersion]),
    ).toEqual([
      ['ADDED', 'a', '1'],
      ['ADDED', 'b', '2'],
      ['MODIFIED', 'b', '3'],
      ['DELETED', 'b', '4'],
    ]);
  });

  test('an object that leaves or enters a selection is deleted or added for that watcher', async () => {
    await call('POST', services, service('a', { labels: { tier: 'x' } }));
    const seen = await events(`${services}?watch=1&resourceVersion=1&labelSelector=tier%3Dx`, 2, async () => {
      await call('PUT', `${services}/a`, service('a', { labels: { tier: 'y' } }));
      await call('PUT', `${services}/a`, service('a', { labels: { tier: 'x' } }));
    });
    expect(seen.map((event) => event.type)).toEqual(['DELETED', 'ADDED']);
  });

  test('a revision that has left the log, or was never reached, is an ERROR event with 410', async () => {
    for (let i = 0; i < 30; i++) await call('POST', services, service(`n${i}`));
    for (const revision of [1, 999]) {
      const [event] = await events(`${services}?watch=1&resourceVersion=${revision}`, 1);
      expect(event).toMatchObject({
        type: 'ERROR',
        object: { kind: 'Status', code: 410, reason: 'Expired' },
      });
    }
  });

  test('sendInitialEvents ends with its bookmark', async () => {
    await call('POST', services, service('a'));
    const query = 'watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true';
    const seen = await events(`${services}?${query}`, 2);
    expect<unknown>(seen[1]).toEqual({
      type: 'BOOKMARK',
      object: {
        kind: 'Service',
        apiVersion: 'v1',
        metadata: { resourceVersion: '1', annotations: { 'k8s.io/initial-events-end': 'true' } },
      },
    });
    expect((await call('GET', `${services}?watch=1&sendInitialEvents=true`)).code).toBe(400);
  });

  test('a watch of a table sends rows, the columns with the first', async () => {
    const accept = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' };
    await call('POST', services, service('a'));
    await call('POST', services, service('b'));
    const response = await respond('GET', `${services}?watch=1`, undefined, accept);
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    while (text.split('\n').length <= 2) text += (await reader.read()).value;
    await reader.cancel();
    const [first, second] = text
      .split('\n')
      .map((line) => (line === '' ? null : (JSON.parse(line) as WatchLine)));
    expect(first?.object).toMatchObject({
      kind: 'Table',
      rows: [{ cells: ['a', 'ClusterIP', '', '80/TCP', '', '0s'] }],
    });
    expect(first?.object.columnDefinitions).toBeArray();
    expect(second?.object.columnDefinitions).toBeNull();
  });

  test('a watcher that does not read is cut off instead of buffered for', async () => {
    const response = await respond('GET', `${services}?watch=1`);
    const text200k = 'x'.repeat(200_000);
    expect((await call('POST', services, service('large'))).code).toBe(201);
    for (let i = 0; i < 30; i++) {
      const large = service('large', { labels: { n: String(i) }, annotations: { text: text200k } });
      expect((await call('PUT', `${services}/large`, large)).code).toBe(200);
    }
    const text = await response.text();
    expect(text.length).toBeLessThan(4_800_000);
    expect(text.endsWith('\n')).toBe(true);
  });
});
