/**
 * A control plane as a process of its own, instances registered with it, and proxies started from the bootstrap it
 * hands out: what the control plane's end-to-end tests share.
 */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort, makeTempDir, onCleanUp, spawnBun, spawnCommand, waitFor } from '@sluice/testkit';
import type { TestProcess } from '@sluice/testkit';

export interface InstanceOptions {
  readonly name: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly namespace?: string;
  readonly serviceAccount?: string;
  /** Where the application listens, with the port its sidecar takes for others. */
  readonly ports?: readonly {
    readonly name: string;
    readonly appPort: number;
    readonly inboundPort: number;
  }[];
  readonly capabilities?: readonly string[];
}

export interface Binding {
  readonly service: string;
  readonly port: number;
  readonly address: string;
  readonly localPort: number;
}

export interface Instance {
  readonly id: string;
  readonly adminPort: number;
  readonly token: string;
  readonly bootstrapPath: string;
  /** Where the instance's own listeners may be, first and last. */
  readonly outboundPorts: readonly [number, number];
  /** Dies without goodbye. */
  stopRenewing(): void;
  /** Local port of the instance's own listener for a service. */
  localPort(service: string): Promise<number>;
}

const controlMain = join(import.meta.dir, '../../packages/control/src/main.ts');
const proxyMain = join(import.meta.dir, '../../packages/proxy/src/main.ts');
/** Leases are renewed this often, ms; they last 3 s. */
const renewalMs = 500;

export class ControlMesh {
  readonly root = makeTempDir();
  readonly folder = join(this.root, 'mesh');
  readonly #ports = { xds: freePort(), 'secure-xds': freePort(), api: freePort(), metrics: freePort() };
  readonly #flags: readonly string[];
  #process: TestProcess | null = null;

  /** `flags`: further ones of the control plane. */
  constructor(flags: readonly string[] = []) {
    this.#flags = flags;
    mkdirSync(this.folder);
  }

  /** Starts the control plane, or starts it again on the same state and ports. */
  async start(): Promise<void> {
    const flags = Object.entries(this.#ports).flatMap(([name, port]) => [
      `--${name}-address`,
      `127.0.0.1:${port}`,
    ]);
    this.#process = spawnBun(controlMain, [
      '--state-dir',
      this.stateDir,
      '--resources',
      this.folder,
      ...flags,
      ...this.#flags,
    ]);
    await this.#process.waitForLine('control plane ready');
  }

  async kill(): Promise<void> {
    this.#process?.kill('SIGKILL');
    await this.#process?.exited;
  }

  /** `host:port` of xDS and signing over TLS. */
  get secureAddress(): string {
    return `127.0.0.1:${this.#ports['secure-xds']}`;
  }

  get apiUrl(): string {
    return `http://127.0.0.1:${this.#ports.api}`;
  }

  get xdsAddress(): string {
    return `127.0.0.1:${this.#ports.xds}`;
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  get output(): string {
    return this.#process?.output ?? '';
  }

  get stateDir(): string {
    return join(this.root, 'state');
  }

  /** What an instance's probe says. */
  async reportHealth({ id, token }: Instance, isHealthy: boolean): Promise<void> {
    const response = await fetch(`${this.apiUrl}/sluice/v1/registrations/${id}/health`, {
      method: 'PUT',
      headers: { authorization: `Bearer ${token}` },
      body: JSON.stringify({ isHealthy, reason: isHealthy ? 'GET /: 200' : 'GET /: 503' }),
    });
    if (!response.ok) throw new Error(`${id}: ${response.status} ${await response.text()}`);
  }

  write(file: string, yaml: string): void {
    writeFileSync(join(this.folder, file), yaml);
  }

  /** As editors save: the new text under another name, moved over the old. */
  replace(file: string, yaml: string): void {
    const other = join(this.root, `${file}.new`);
    writeFileSync(other, yaml);
    renameSync(other, join(this.folder, file));
  }

  remove(file: string): void {
    rmSync(join(this.folder, file));
  }

  async api<T>(path: string, init: RequestInit = {}): Promise<T> {
    const token = readFileSync(join(this.stateDir, 'token'), 'utf8').trim();
    const response = await fetch(`http://127.0.0.1:${this.#ports.api}${path}`, {
      ...init,
      headers: { authorization: `Bearer ${token}` },
    });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  }

  /** Registers an instance with interception mode NONE and keeps its lease. */
  async register(options: InstanceOptions): Promise<Instance> {
    const adminPort = freePort();
    const outboundPorts = freePortRange();
    const registration = {
      name: options.name,
      labels: options.labels ?? { app: options.name },
      namespace: options.namespace ?? 'default',
      serviceAccount: options.serviceAccount ?? 'default',
      address: '127.0.0.1',
      interceptionMode: 'NONE',
      ports: options.ports ?? [],
      outboundPortRange: outboundPorts,
      adminPort,
      healthPort: freePort(),
      capabilities: options.capabilities ?? [],
      version: '0.1.0',
    };
    const body = JSON.stringify(registration);
    const reply = await this.api<{ instance: string; token: string }>('/sluice/v1/registrations', {
      method: 'POST',
      body,
    });
    const timer = setInterval(() => void this.#renew(reply).catch(() => {}), renewalMs);
    onCleanUp(() => clearInterval(timer));
    const bootstrapPath = join(this.root, `${options.name}.json`);
    const bootstrap = await this.#asInstance(reply.token, '/sluice/v1/bootstrap');
    writeFileSync(bootstrapPath, await bootstrap.text());
    return {
      id: reply.instance,
      adminPort,
      token: reply.token,
      bootstrapPath,
      outboundPorts,
      stopRenewing: () => clearInterval(timer),
      localPort: (service) => this.#localPort(reply, service),
    };
  }

  /** Our proxy, as this instance's sidecar; by delta it gets its virtual hosts one by one. */
  startProxy(
    instance: Instance,
    variant: 'sotw' | 'delta' = 'sotw',
    flags: readonly string[] = [],
  ): TestProcess {
    if (variant === 'delta') {
      const text = readFileSync(instance.bootstrapPath, 'utf8');
      writeFileSync(instance.bootstrapPath, text.replace('"api_type":"GRPC"', '"api_type":"DELTA_GRPC"'));
    }
    return spawnBun(proxyMain, [
      '-c',
      instance.bootstrapPath,
      '--concurrency',
      '1',
      '--log-level',
      'info',
      ...flags,
    ]);
  }

  async #localPort(reply: { instance: string; token: string }, service: string): Promise<number> {
    const path = `/sluice/v1/registrations/${reply.instance}/outbound`;
    const response = await this.#asInstance(reply.token, path);
    const { outbound } = (await response.json()) as { outbound: readonly Binding[] };
    const found = outbound.find((binding) => binding.service === service);
    if (!found)
      throw new Error(`${reply.instance} has no listener for ${service}: ${JSON.stringify(outbound)}`);
    return found.localPort;
  }

  async #renew({ instance, token }: { instance: string; token: string }): Promise<void> {
    await this.#asInstance(token, `/sluice/v1/registrations/${instance}`, 'PUT');
  }

  #asInstance(token: string, path: string, method = 'GET'): Promise<Response> {
    return fetch(`http://127.0.0.1:${this.#ports.api}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}` },
      ...(method === 'PUT' ? { body: '{}' } : {}),
    });
  }
}

/** Ports for an instance's own listeners, and how many blocks were given away. */
const rangeSize = 40;
let ranges = 0;

/**
 * Consecutive ports that are free now, below those that the system gives to clients: among these, connections of
 * other tests come and go. Processes begin at different places.
 */
function freePortRange(): [number, number] {
  for (;;) {
    const low = 10_000 + ((process.pid * 997 + ranges++ * rangeSize) % 20_000);
    if (Array.from({ length: rangeSize }, (_, index) => low + index).every(isFree))
      return [low, low + rangeSize - 1];
  }
}

function isFree(port: number): boolean {
  try {
    Bun.listen({ hostname: '127.0.0.1', port, socket: { data: () => {} } }).stop(true);
    return true;
  } catch {
    return false;
  }
}

export function startEnvoy(binary: string, instance: Instance): TestProcess {
  const flags = ['--concurrency', '1', '--disable-hot-restart', '--log-level', 'info'];
  return spawnCommand([binary, '-c', instance.bootstrapPath, ...flags]);
}

export interface ProxyStatus {
  readonly instance: string;
  readonly userAgent: string;
  readonly protocol: string;
  readonly types: readonly { readonly type: string; readonly state: string; readonly error: string }[];
}

/** The proxy of an instance, once everything it asked for is accepted; throws with its words for a refusal. */
export function waitForSync(mesh: ControlMesh, instance: Instance): Promise<ProxyStatus> {
  return waitFor(
    async () => {
      const { proxies } = await mesh.api<{ proxies: readonly ProxyStatus[] }>('/sluice/v1/proxies');
      const found = proxies.find((proxy) => proxy.instance === instance.id);
      const types = found?.types ?? [];
      const isSynced = ['cds', 'lds', 'eds', 'rds'].every((name) =>
        types.some((type) => type.type === name && type.state === 'SYNCED'),
      );
      if (isSynced) return found;
      throw new Error(JSON.stringify(types));
    },
    { what: `${instance.id} to accept everything`, timeoutMs: 15_000 },
  );
}
