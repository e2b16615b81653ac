import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { cleanUp, freePort, startHttpOrigin, waitFor } from '@sluice/testkit';
import type { HttpOrigin, TestProcess } from '@sluice/testkit';
import { findEnvoy } from '../find-envoy.ts';
import { ControlMesh, startEnvoy, waitForSync } from './control-mesh.ts';
import type { Instance } from './control-mesh.ts';

/**
 * One control plane, two data planes: a real Envoy and our proxy, each started from the bootstrap that the control
 * plane hands out for its instance, must take everything and route alike.
 */
const envoy = findEnvoy();
let mesh: ControlMesh;
let v1: HttpOrigin;
let v2: HttpOrigin;

beforeEach(async () => {
  mesh = new ControlMesh();
  v1 = startHttpOrigin(() => ({ body: 'v1' }));
  v2 = startHttpOrigin(() => ({ body: 'v2' }));
  mesh.write('reviews.yaml', resources());
  await mesh.start();
});

afterEach(cleanUp);

/** Two versions of a service without sidecars, given as a ServiceEntry would, and routes over them. */
function resources(): string {
  return `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: reviews}
spec:
  hosts: [reviews.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 9080, name: http, protocol: HTTP}, {number: 9999, name: tcp-raw, protocol: TCP}, {number: 7000, name: sniffed}]
  endpoints:
  - {address: 127.0.0.1, ports: {http: ${v1.port}, tcp-raw: ${v1.port}, sniffed: ${v1.port}}, labels: {version: v1}}
  - {address: 127.0.0.1, ports: {http: ${v2.port}, tcp-raw: ${v2.port}, sniffed: ${v2.port}}, labels: {version: v2}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  trafficPolicy: {connectionPool: {tcp: {connectTimeout: 1s, tcpKeepalive: {time: 60s}}, http: {http1MaxPendingRequests: 100, idleTimeout: 30s}}}
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
  - match: [{headers: {end-user: {exact: jason}}}]
    route: [{destination: {host: reviews, port: {number: 9080}, subset: v2}}]
  - match: [{uri: {prefix: /old/}}]
    rewrite: {uri: /new/}
    timeout: 2s
    retries: {attempts: 3, perTryTimeout: 1s, retryOn: "5xx,reset"}
    headers: {request: {set: {x-via: mesh}}, response: {add: {x-mesh: sluice}}}
    route: [{destination: {host: reviews, port: {number: 9080}, subset: v1}}]
  - match: [{uri: {exact: /moved}}]
    redirect: {uri: /here, authority: other.example.com, redirectCode: 308}
  - match: [{uri: {exact: /teapot}}]
    directResponse: {status: 418, body: {string: short and stout}}
  - match: [{uri: {exact: /nobody}}]
    route: [{destination: {host: nobody}}]
  - route:
    - {destination: {host: reviews, port: {number: 9080}, subset: v1}, weight: 50}
    - {destination: {host: reviews, port: {number: 9080}, subset: v2}, weight: 50}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: everything}
spec: {hosts: [dns.example.com], resolution: DNS, ports: [{number: 80, name: http, protocol: HTTP}, {number: 443, name: tls, protocol: TLS}, {number: 50051, name: grpc, protocol: GRPC}], endpoints: [{address: localhost}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: dialled}
spec: {hosts: [dialled.example.com], resolution: NONE, addresses: [127.0.0.1], ports: [{number: 80, name: http, protocol: HTTP}]}
`;
}

async function routesAsConfigured(instance: Instance): Promise<void> {
  const port = await instance.localPort('reviews.default.svc.cluster.local');
  const get = (path: string, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(`http://127.0.0.1:${port}${path}`, { headers, redirect: 'manual' });
  await waitFor(async () => (await get('/', { 'end-user': 'jason' })).ok, { what: 'the first answer' });
  expect(await (await get('/', { 'end-user': 'jason' })).text()).toBe('v2');
  const rewritten = await get('/old/page');
  expect([await rewritten.text(), rewritten.headers.get('x-mesh')]).toEqual(['v1', 'sluice']);
  const seen = v1.requests.at(-1);
  expect([seen?.target, seen?.header('x-via'), seen?.header('host')]).toEqual([
    '/new/page',
    'mesh',
    'reviews.default.svc.cluster.local:9080',
  ]);
  const moved = await get('/moved');
  expect([moved.status, moved.headers.get('location')]).toEqual([308, 'http://other.example.com/here']);
  const teapot = await get('/teapot');
  expect([teapot.status, await teapot.text()]).toEqual([418, 'short and stout']);
  expect((await get('/nobody')).status).toBe(503);
  const versions = new Set<string>();
  for (let index = 0; index < 40; index++) versions.add(await (await get('/')).text());
  expect([...versions].sort()).toEqual(['v1', 'v2']);
}

/** The forward proxy: services by name and port, through their own routes. */
async function proxiesForward(instance: Instance): Promise<void> {
  const proxy = `http://127.0.0.1:${await instance.localPort('http_proxy')}`;
  const get = (url: string, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(url, { proxy, headers });
  expect(await (await get('http://reviews:9080/', { 'end-user': 'jason' })).text()).toBe('v2');
  expect((await get('http://reviews.default.svc.cluster.local:9080/teapot')).status).toBe(418);
}

async function takesChanges(instance: Instance): Promise<void> {
  const port = await instance.localPort('reviews.default.svc.cluster.local');
  mesh.replace('reviews.yaml', resources().replace('status: 418', 'status: 451'));
  await waitFor(async () => (await fetch(`http://127.0.0.1:${port}/teapot`)).status === 451, {
    what: 'the changed route',
  });
  const { types } = await waitForSync(mesh, instance);
  expect(types.filter((type) => type.error !== '')).toEqual([]);
}

async function expectRuns(process: TestProcess, work: Promise<void>): Promise<void> {
  const ended = process.exited.then((code) => {
    throw new Error(`the proxy ended with ${code}: ${process.output.slice(-4000)}`);
  });
  try {
    await Promise.race([work, ended]);
  } catch (error) {
    throw new Error(`${process.output.slice(-3000)}\n${mesh.output.slice(-3000)}`, { cause: error });
  } finally {
    ended.catch(() => undefined);
  }
}

describe('a proxy started from the bootstrap takes everything and routes as configured', () => {
  test.skipIf(envoy === null)(
    'a real Envoy',
    async () => {
      const instance = await mesh.register({ name: 'envoy', ports: [inbound('http'), inbound('grpc')] });
      const process = startEnvoy(envoy ?? '', instance);
      await expectRuns(
        process,
        (async () => {
          const status = await waitForSync(mesh, instance);
          expect(status.userAgent).toBe('envoy');
          await routesAsConfigured(instance);
          await takesChanges(instance);
        })(),
      );
    },
    60_000,
  );

  test.each(['sotw', 'delta'] as const)(
    'our proxy by %s',
    async (variant) => {
      const instance = await mesh.register({
        name: 'sluice',
        ports: [inbound('http')],
        capabilities: ['sluice.dev/forward-proxy'],
      });
      const process = mesh.startProxy(instance, variant);
      await expectRuns(
        process,
        (async () => {
          const status = await waitForSync(mesh, instance);
          expect([status.userAgent, status.protocol]).toEqual(['sluice', variant]);
          await routesAsConfigured(instance);
          await proxiesForward(instance);
          await takesChanges(instance);
        })(),
      );
    },
    60_000,
  );
});

function inbound(name: string): { name: string; appPort: number; inboundPort: number } {
  return { name, appPort: v1.port, inboundPort: freePort() };
}
