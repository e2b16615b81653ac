import { afterEach, describe, expect, test } from 'bun:test';
import { connect } from 'node:http2';
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders } from 'node:http2';
import type { Registration, RegistrationReply } from '@sluice/api';
import { meshSettings } from '@sluice/api';
import { createLogger, MetricsRegistry, systemClock } from '@sluice/runtime';
import { cleanUp, onCleanUp, waitFor } from '@sluice/testkit';
import { frameGrpcMessage, GrpcMessageDecoder } from '@sluice/wire';
import { AdsClient, xdsTypes } from '@sluice/xds';
import type { AdsUpdate, AdsVariant } from '@sluice/xds';
import { soleLeadership } from '../../leader/leadership.ts';
import { InstanceRegistry } from '../../registry/instance-registry.ts';
import { testRegistration } from '../../registry/registration.fixture.ts';
import { memoryRegistryTable } from '../../registry/registry-table.ts';
import { readResourceText } from '../../source/admission.ts';
import { openMemoryStore } from '../../source/memory-store.ts';
import { putAll, strictStore } from '../../source/store.fixture.ts';
import { createMeshServing } from '../create-mesh-serving.ts';
import type { MeshServing } from '../mesh-serving.ts';
import { adsPaths } from './ads-server.ts';

/** The whole serving side on a real socket, asked by the client machine that our proxy uses. */
const serviceYaml = `
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec: {clusterIP: 10.0.0.1, selector: {app: reviews}, ports: [{name: http, port: 9080}]}
`;
const route = (timeout: string): string => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec: {hosts: [reviews], http: [{timeout: ${timeout}, route: [{destination: {host: reviews}}]}]}
`;

class ServedMesh {
  readonly logged: string[] = [];
  readonly #log = createLogger({ component: 'test', write: (line) => this.logged.push(line) });
  readonly store = openMemoryStore(strictStore(() => systemClock.wallMs()));
  readonly registry: InstanceRegistry = new InstanceRegistry({
    store: this.store,
    table: memoryRegistryTable(),
    leadership: soleLeadership(),
    clock: systemClock,
    log: this.#log,
    clusterDomain: 'cluster.local',
    outboundServices: (instance) => this.serving.outboundServices(instance),
    strictPorts: () => [],
  });
  readonly serving: MeshServing = createMeshServing({
    store: this.store,
    registry: this.registry,
    leadership: soleLeadership(),
    settings: meshSettings(),
    metrics: new MetricsRegistry(),
    clock: systemClock,
    log: this.#log,
    xdsAddress: '127.0.0.1:0',
    ownAddresses: () => [],
  });
  address = '';

  async listen(): Promise<void> {
    this.address = (await this.serving.listen()).xds;
    onCleanUp(() => this.serving.close());
  }

  apply(yaml: string): void {
    putAll(this.store, readResourceText(yaml, 'test.yaml').objects);
  }

  register(name: string, changes: Partial<Registration> = {}): RegistrationReply {
    return this.registry.register(testRegistration(name, { ttlMs: 60_000, ...changes }));
  }
}

/** A proxy reduced to its ADS stream: takes everything, or what `judge` lets it. */
class Peer {
  readonly updates: AdsUpdate[] = [];
  /** Framing mistakes of the server. */
  readonly broken: string[] = [];
  readonly held = new Map<string, Map<string, Uint8Array>>();
  judge: (name: string) => string | null = () => null;
  status: Record<string, string> | null = null;
  readonly #session: ClientHttp2Session;
  readonly #stream: ClientHttp2Stream;
  readonly #ads: AdsClient;

  constructor(mesh: ServedMesh, variant: AdsVariant, token: string | null) {
    this.#session = connect(`http://${mesh.address}`);
    this.#session.on('error', () => {});
    onCleanUp(() => this.#session.destroy());
    this.#stream = this.#session.request({
      ':method': 'POST',
      ':path': adsPaths[variant],
      'content-type': 'application/grpc',
      te: 'trailers',
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
    });
    this.#ads = new AdsClient(variant, { id: 'whatever-it-says', cluster: 'x' });
    for (const type of [xdsTypes.cluster, xdsTypes.listener]) this.#ads.subscribe(type, ['*']);
    const decoder = new GrpcMessageDecoder(
      { onMessage: (message) => this.#take(message), onFramingError: (code) => this.broken.push(code) },
      16 * 1024 * 1024,
    );
    this.#stream.on('data', (chunk: Buffer) => decoder.execute(chunk, 0, chunk.length));
    this.#stream.on('response', (headers) => this.#readStatus(headers));
    this.#stream.on('trailers', (headers) => this.#readStatus(headers));
    this.#stream.on('error', () => {});
    this.#ads.opened();
    this.#flush();
  }

  subscribe(type: string, names: readonly string[]): void {
    this.#ads.subscribe(type, names);
    this.#flush();
  }

  cancel(): void {
    this.#stream.close(8);
  }

  sendGarbage(): void {
    this.#stream.write(frameGrpcMessage(new Uint8Array([255, 255, 255, 255])));
  }

  /** Waits until a type has arrived that often. */
  async received(type: string, times = 1): Promise<AdsUpdate> {
    const found = await waitFor(() => this.updates.filter((update) => update.typeUrl === type)[times - 1], {
      what: `response ${times} of ${type}`,
    });
    return found;
  }

  #take(message: Uint8Array): void {
    const received = this.#ads.receive(message);
    if (received.kind !== 'update') throw new Error(received.kind);
    const { update } = received;
    this.updates.push(update);
    const held = this.held.get(update.typeUrl) ?? new Map<string, Uint8Array>();
    this.held.set(update.typeUrl, held);
    const rejected = update.resources.flatMap(({ name }) => {
      const problem = this.judge(name);
      return problem === null ? [] : [{ name, problem }];
    });
    for (const { name, bytes } of update.resources) held.set(name, bytes);
    for (const name of update.removed) held.delete(name);
    this.#ads.settle(update, rejected);
    this.#flush();
  }

  #readStatus(headers: IncomingHttpHeaders): void {
    if (headers['grpc-status'] === undefined) return;
    this.status = { code: String(headers['grpc-status']), message: String(headers['grpc-message'] ?? '') };
  }

  #flush(): void {
    for (const request of this.#ads.takeRequests()) this.#stream.write(frameGrpcMessage(request));
  }
}

afterEach(cleanUp);

async function serve(): Promise<ServedMesh> {
  const mesh = new ServedMesh();
  mesh.apply(serviceYaml);
  await mesh.listen();
  return mesh;
}

describe.each(['sotw', 'delta'] as const)('by %s', (variant) => {
  test('a proxy gets its configuration, then only what changes', async () => {
    const mesh = await serve();
    const peer = new Peer(mesh, variant, mesh.register('client').token);
    await peer.received(xdsTypes.listener);
    peer.subscribe(xdsTypes.endpoint, ['outbound|9080||reviews.default.svc.cluster.local']);
    peer.subscribe(xdsTypes.route, ['9080']);
    await peer.received(xdsTypes.route);
    expect([...(peer.held.get(xdsTypes.cluster)?.keys() ?? [])]).toContain(
      'outbound|9080||reviews.default.svc.cluster.local',
    );
    const before = peer.updates.length;
    mesh.apply(route('3s'));
    const changed = await peer.received(xdsTypes.route, 2);
    expect(changed.resources.map(({ name }) => name)).toEqual(['9080']);
    expect(peer.updates.length).toBe(before + 1);
    expect(peer.broken).toEqual([]);
  });

  test('equal content and status writes are no push', async () => {
    const mesh = await serve();
    const peer = new Peer(mesh, variant, mesh.register('client').token);
    await peer.received(xdsTypes.listener);
    peer.subscribe(xdsTypes.route, ['9080']);
    await peer.received(xdsTypes.route);
    mesh.apply(route('3s'));
    await peer.received(xdsTypes.route, 2);
    const before = peer.updates.length;
    mesh.apply(route('3000ms').replace('3000ms', '3s'));
    mesh.store.putStatus(
      { group: 'networking.istio.io', kind: 'VirtualService', namespace: 'default', name: 'reviews' },
      { x: 1 },
    );
    // What follows them arrives first: nothing else was sent in between.
    mesh.apply(route('4s'));
    await peer.received(xdsTypes.route, 3);
    expect(peer.updates.length).toBe(before + 1);
  });

  test('a refusal appears in the proxy’s state and in the resource’s status', async () => {
    const mesh = await serve();
    const peer = new Peer(mesh, variant, mesh.register('client').token);
    await peer.received(xdsTypes.listener);
    peer.judge = (name) => (name === '9080' ? 'virtual_hosts[0].routes[0]: too odd' : null);
    peer.subscribe(xdsTypes.route, ['9080']);
    mesh.apply(route('3s'));
    const key = {
      group: 'networking.istio.io',
      kind: 'VirtualService',
      namespace: 'default',
      name: 'reviews',
    };
    const programmed = await waitFor(() => {
      const status = mesh.store.get(key)?.object.status as {
        conditions?: { type: string; status: string; message: string }[];
      };
      const found = status?.conditions?.find((condition) => condition.type === 'Programmed');
      return found?.status === 'False' && found.message.includes('refused') ? found : undefined;
    });
    expect(programmed.message).toContain(
      '0 of 1 proxy; 1 refused it: 9080: virtual_hosts[0].routes[0]: too odd',
    );
    const [state] = [...mesh.serving.proxies.proxies.values()];
    expect(state?.instance).toBe('client.default');
    expect(state?.types.find(({ type }) => type === 'rds')).toMatchObject({
      state: 'NACK',
      nackedResources: ['9080'],
    });
    expect(mesh.logged.join('')).toContain('proxy refused configuration');
  });

  test('who has no token of an instance gets nothing', async () => {
    const mesh = await serve();
    for (const token of [null, 'guessed']) {
      const peer = new Peer(mesh, variant, token);
      const status = await waitFor(() => peer.status);
      expect(status['code']).toBe('16');
      expect(peer.updates).toEqual([]);
    }
    expect(mesh.serving.proxies.proxies.size).toBe(0);
  });

  test('what is no discovery request ends the stream', async () => {
    const mesh = await serve();
    const peer = new Peer(mesh, variant, mesh.register('client').token);
    await peer.received(xdsTypes.listener);
    peer.sendGarbage();
    expect((await waitFor(() => peer.status))['code']).toBe('3');
    await waitFor(() => mesh.serving.proxies.proxies.size === 0);
  });
});

test('a proxy is what its registration says, not what its node says', async () => {
  const mesh = await serve();
  const { token } = mesh.register('elsewhere', { namespace: 'other' });
  mesh.apply(
    serviceYaml.replace(
      '{name: reviews}',
      '{name: hidden, annotations: {networking.istio.io/exportTo: "."}}',
    ),
  );
  const peer = new Peer(mesh, 'sotw', token);
  await peer.received(xdsTypes.listener);
  const names = [...(peer.held.get(xdsTypes.cluster)?.keys() ?? [])];
  expect(names).toContain('outbound|9080||reviews.default.svc.cluster.local');
  expect(names).not.toContain('outbound|9080||hidden.default.svc.cluster.local');
});

test('only those who can see a change are pushed to', async () => {
  const mesh = await serve();
  const far = new Peer(mesh, 'sotw', mesh.register('far', { namespace: 'far' }).token);
  const near = new Peer(mesh, 'sotw', mesh.register('near').token);
  for (const peer of [far, near]) {
    await peer.received(xdsTypes.listener);
    peer.subscribe(xdsTypes.route, ['9080']);
    await peer.received(xdsTypes.route);
  }
  const before = far.updates.length;
  mesh.apply(route('3s').replace('hosts: [reviews],', 'hosts: [reviews], exportTo: ["."],'));
  await near.received(xdsTypes.route, 2);
  mesh.apply(route('5s'));
  await far.received(xdsTypes.route, 2);
  expect(far.updates.length).toBe(before + 1);
});

test('the end of a registration ends its stream', async () => {
  const mesh = await serve();
  const { token } = mesh.register('client');
  const peer = new Peer(mesh, 'sotw', token);
  await peer.received(xdsTypes.listener);
  mesh.registry.deregister('client.default', token);
  expect(await waitFor(() => peer.status)).toEqual({ code: '16', message: 'the registration has ended' });
  expect(mesh.serving.proxies.proxies.size).toBe(0);
});

test('a client that goes away is forgotten', async () => {
  const mesh = await serve();
  const peer = new Peer(mesh, 'delta', mesh.register('client').token);
  await peer.received(xdsTypes.listener);
  expect(mesh.serving.proxies.proxies.size).toBe(1);
  peer.cancel();
  await waitFor(() => mesh.serving.proxies.proxies.size === 0);
});

test('xDS in the clear opens on loopback only', async () => {
  const { store, registry } = await serve();
  const serving = createMeshServing({
    store,
    registry,
    leadership: soleLeadership(),
    settings: meshSettings(),
    metrics: new MetricsRegistry(),
    clock: systemClock,
    log: createLogger({ component: 'test', write: () => {} }),
    xdsAddress: '0.0.0.0:0',
    ownAddresses: () => [],
  });
  onCleanUp(() => serving.close());
  await expect(serving.listen()).rejects.toThrow(
    /served on loopback only; other machines use --secure-xds-address/,
  );
});
