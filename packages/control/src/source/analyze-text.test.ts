import { expect, test } from 'bun:test';
import { meshSettings } from '@sluice/api';
import { admission } from './admission.ts';
import { analyzeText } from './analyze-text.ts';
import { openMemoryStore } from './memory-store.ts';
import { storeOptions } from './store-suite.ts';

const route = (host: string): string => `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: r}
spec:
  hosts: [reviews]
  http: [{route: [{destination: {host: ${host}}}]}]
`;

test('a text is judged together with what is live, and only what it defines is reported', () => {
  const store = openMemoryStore(storeOptions({ admission }));
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'reviews' },
    spec: { ports: [{ name: 'http', port: 80 }] },
  };
  store.put(service, { origin: { source: 'api' }, mode: 'create' });
  const of = (text: string): readonly string[] =>
    analyzeText(text, 'stdin', store, meshSettings())
      .filter((problem) => problem.severity === 'error')
      .map((problem) => `${problem.line}: ${problem.path}`);
  expect(of(route('reviews'))).toEqual([]);
  expect(of(route('nobody'))).toEqual(['6: spec.http[0].route[0].destination.host']);
  expect(of(`${route('reviews')}---\nkind: [\n`)).toHaveLength(1);
});
