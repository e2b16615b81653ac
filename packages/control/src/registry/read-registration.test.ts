import { expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { readRegistration } from './read-registration.ts';

const good = {
  name: 'reviews-1',
  ports: [{ name: 'http', appPort: 8080, inboundPort: 20001 }],
  adminPort: 15000,
  healthPort: 15021,
};

test('what is not said has a default', () => {
  const read = readRegistration(good);
  expect(read).toMatchObject({
    ok: true,
    request: {
      isHealthy: true,
      registration: {
        namespace: 'default',
        serviceAccount: 'default',
        address: '127.0.0.1',
        interceptionMode: 'NONE',
        ttlMs: 2500,
      },
    },
  });
});

test('all problems are told at once, each with its path', () => {
  const read = readRegistration({
    ...good,
    name: 'Not A Name',
    namespace: 'a.b',
    address: 'example.com',
    interceptionMode: 'MAGIC',
    ports: [
      { name: 'http', appPort: 0 },
      { name: 'http', appPort: 80 },
    ],
    ttlMs: 5,
    outboundPortRange: [9, 3],
    weight: -1,
    labels: { app: 1 },
    colour: 'red',
  });
  const paths = read.ok ? [] : read.problems.map((problem) => problem.path);
  expect(new Set(paths)).toEqual(
    new Set([
      'colour',
      'name',
      'namespace',
      'labels',
      'address',
      'interceptionMode',
      'ports[0].appPort',
      'ports[0].inboundPort',
      'ports[1].name',
      'ttlMs',
      'weight',
      'outboundPortRange',
    ]),
  );
  expect(readRegistration([]).ok).toBe(false);
  expect(readRegistration({}).ok).toBe(false);
});

test('no body makes it throw, and what it accepts it has checked', () => {
  fc.assert(
    fc.property(fc.oneof(fc.jsonValue(), fc.record({ ...partsOf(good), labels: fc.jsonValue() })), (body) => {
      const read = readRegistration(body);
      if (read.ok) expect(read.request.registration.name).toMatch(/^[a-z0-9.-]+$/);
      else expect(read.problems.length).toBeGreaterThan(0);
    }),
    { numRuns: 500, seed: 5 },
  );
});

/** Each field either as it should be or as anything at all. */
function partsOf(object: object): Record<string, fc.Arbitrary<unknown>> {
  const fields = Object.entries(object).map(
    ([key, value]) => [key, fc.oneof(fc.constant(value), fc.jsonValue())] as const,
  );
  return Object.fromEntries(fields);
}
