/** The conversation with the registry: renewals, health, a control plane that is away, one that has forgotten. */
import { expect, test } from 'bun:test';
import type { Registration } from '@sluice/api';
import { waitFor } from '@sluice/testkit';
import { ApiClient } from '../mesh/api-client.ts';
import type { Timers } from '../process/supervisor.ts';
import { MeshRegistration } from './registration.ts';

const registration: Registration = {
  name: 'shop',
  namespace: 'default',
  serviceAccount: 'shop',
  labels: {},
  address: '127.0.0.1',
  interceptionMode: 'NONE',
  ports: [],
  adminPort: 1,
  healthPort: 2,
  version: '0.1.0',
  ttlMs: 2500,
};

/** A registry of one instance that writes down what it is told, and timers moved by hand. */
function setUp() {
  const heard: string[] = [];
  const anew: string[] = [];
  const troubles: string[] = [];
  let token = '';
  let registrations = 0;
  let known = false;
  let answer: 'normal' | 'unknown' | 'broken' = 'normal';
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    async fetch(request) {
      const path = new URL(request.url).pathname.replace('/sluice/v1/registrations', '');
      const body =
        request.method === 'POST' || path.endsWith('/health')
          ? ((await request.json()) as { isHealthy: boolean; reason?: string })
          : undefined;
      heard.push(
        `${request.method} ${path}${body === undefined ? '' : ` ${body.isHealthy ? 'healthy' : 'unhealthy'}`}`.replace(
          '  ',
          ' ',
        ),
      );
      if (answer === 'broken') return Response.json({ message: 'the disk is full' }, { status: 507 });
      if (body !== undefined) known = body.isHealthy;
      if (request.method === 'POST') {
        token = `token-${++registrations}`;
        answer = 'normal';
        return Response.json(
          { instance: 'shop.default', token, nodeId: 'n', outbound: [], strictPorts: [], leaseMs: 2500 },
          { status: 201 },
        );
      }
      const isOurs = request.headers.get('authorization') === `Bearer ${token}` && answer === 'normal';
      return isOurs
        ? Response.json({ leaseMs: 2500, isHealthy: known, outbound: [], strictPorts: [] })
        : Response.json({ message: 'not registered' }, { status: 404 });
    },
  });
  const waits: { delayMs: number; callback: () => void }[] = [];
  const timers: Timers = {
    nowMs: () => 0,
    after: (delayMs, callback) => {
      const wait = { delayMs, callback };
      waits.push(wait);
      return () => void waits.splice(waits.indexOf(wait), waits.includes(wait) ? 1 : 0);
    },
  };
  const client = new ApiClient({ apiUrl: `http://127.0.0.1:${server.port}`, token: 'operator' });
  const mesh = new MeshRegistration({
    client,
    registration,
    timers,
    onRegisteredAnew: () => anew.push(mesh.token),
    onTrouble: (text) => troubles.push(text),
    onStrictPorts: () => {},
  });
  return {
    mesh,
    server,
    heard,
    anew,
    troubles,
    waits,
    setAnswer: (next: typeof answer) => (answer = next),
    setKnown: (isHealthy: boolean) => (known = isHealthy),
    /** The next renewal, until what follows from it is done. */
    renew: async (): Promise<void> => {
      const wait = waits.shift();
      wait?.callback();
      await waitFor(() => waits.length > 0);
    },
  };
}

test('a control plane that has an older health than it was told is told again', async () => {
  const { mesh, server, heard, renew, setKnown } = setUp();
  await mesh.begin();
  mesh.tell(true, 'GET /: 200');
  await waitFor(() => heard.length >= 2);
  mesh.tell(false, 'GET /: 503');
  await waitFor(() => heard.length >= 3);
  await renew();
  setKnown(true);
  await renew();
  await renew();
  expect(heard.filter((line) => line.includes('/health'))).toEqual([
    'PUT /shop.default/health healthy',
    'PUT /shop.default/health unhealthy',
    'PUT /shop.default/health unhealthy',
  ]);
  await mesh.end();
  await server.stop(true);
});

test('it registers as not ready, renews three times a lease, and tells its health once per change', async () => {
  const { mesh, server, heard, waits, renew } = setUp();
  await mesh.begin();
  expect(waits.map(({ delayMs }) => Math.round(delayMs))).toEqual([833]);
  mesh.tell(true, 'GET /: 200');
  await waitFor(() => heard.length >= 2);
  await renew();
  await renew();
  expect(heard.slice(0, 2)).toEqual(['POST unhealthy', 'PUT /shop.default/health healthy']);
  expect(heard.slice(2).filter((line) => line === 'PUT /shop.default')).toHaveLength(2);
  await mesh.end();
  expect(heard.at(-1)).toBe('DELETE /shop.default');
  await server.stop(true);
});

test('a control plane that has forgotten it is told everything again, with the health it has now', async () => {
  const { mesh, server, heard, anew, renew, setAnswer } = setUp();
  await mesh.begin();
  mesh.tell(true, 'fine');
  await waitFor(() => heard.length >= 2);
  setAnswer('unknown');
  await renew();
  expect(heard.slice(-2)).toEqual(['PUT /shop.default', 'POST healthy']);
  expect(anew).toEqual(['token-2']);
  await mesh.end();
  await server.stop(true);
});

test('health that could not be told is told when the control plane answers again', async () => {
  const { mesh, server, heard, troubles, renew, setAnswer } = setUp();
  await mesh.begin();
  setAnswer('broken');
  mesh.tell(true, 'fine');
  await waitFor(() => troubles.length === 1);
  await renew();
  expect(troubles).toEqual(['the control plane did not take its registration: the disk is full']);
  setAnswer('normal');
  await renew();
  expect(heard.at(-1)).toBe('PUT /shop.default/health healthy');
  await mesh.end();
  await server.stop(true);
});

test('a control plane that is away is no trouble, and goodbye does not wait for it', async () => {
  const { mesh, server, troubles, renew } = setUp();
  await mesh.begin();
  await server.stop(true);
  mesh.tell(false, 'not yet');
  await renew();
  await mesh.end();
  expect(troubles).toEqual([]);
});
