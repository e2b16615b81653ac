/** What leaves the machine has no secrets in it, however they are written. */
import { expect, test } from 'bun:test';
import { withoutValues } from './bug-report.ts';

test('environments of workloads are emptied, whatever their variables are called and however they are laid out', () => {
  const text = `
workloads:
  web:
    command: node web.js --db postgres://user:hunter2@db/shop
    env: { STRIPE: sk_live_hunter2, PORT_NAME: "hunter2" }
    alternatives:
      - command: [bun, web.ts]
        env:
          SESSION: hunter2
    readiness: { http: { path: /, headers: { authorization: hunter2 } } }
`;
  const clean = withoutValues(text, ['known-token-value']);
  expect(clean).not.toContain('hunter2');
  expect(clean).toContain('STRIPE');
  expect(clean).toContain('node web.js');
  expect(withoutValues('a: [unclosed hunter2', [])).not.toContain('hunter2');
});
