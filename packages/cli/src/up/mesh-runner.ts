/**
 * A whole local mesh: control plane, then every instance with its sidecar and application, until it is told to
 * stop. Everything it starts stands in the ledger before anything depends on it, and is gone when `stop` resolves.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sluiceVersion, systemRandom, type Random } from '@sluice/runtime';
import { ApiClient } from '../mesh/api-client.ts';
import { removeMeshRecord, writeMeshRecord, type Env } from '../mesh/mesh-record.ts';
import type { PortReservations } from '../mesh/port-reservations.ts';
import { stateFiles } from '../mesh/state-dir.ts';
import { viewPaths, type SidecarSettings, type SummaryView } from '../mesh/views.ts';
import { identify } from '../process/identity.ts';
import { ProcessLedger } from '../process/ledger.ts';
import { proxyCommand } from '../process/proxy-bundle.ts';
import { systemTimers } from '../process/supervisor.ts';
import type { ChosenCommand } from './choose-command.ts';
import { ControlEcho } from './control-echo.ts';
import { ControlRunner, type ControlAddresses } from './control-runner.ts';
import { canBind } from './free-port.ts';
import { renderServices } from './generated-services.ts';
import type { InstancePlan } from './instance-plan.ts';
import { InstanceRunner } from './instance-runner.ts';
import { capLog, logPath } from './log-files.ts';
import { definedServices, type MeshFile } from './mesh-file.ts';
import { MeshFileWatch } from './mesh-file-watch.ts';
import { planInstances, type ServiceSummary } from './plan-instances.ts';
import { PortBook, type PortRange } from './port-book.ts';
import type { Reporter } from './reporter.ts';

export interface MeshRunnerOptions {
  readonly file: MeshFile;
  readonly stateDir: string;
  readonly addresses: ControlAddresses;
  readonly commands: ReadonlyMap<string, ChosenCommand>;
  readonly range: PortRange;
  readonly reservations: PortReservations;
  readonly env: Env;
  readonly reporter: Reporter;
  /** `--allow-bypass` */
  readonly allowsBypass: boolean;
}

/** Renewals every third of it; with it, a workload that vanishes takes no request after 3 s. */
export const leaseMs = 2500;
const logCheckMs = 10_000;
/** Time that requests under way get when everything stops. */
const drainMs = 2000;
const drainPollMs = 50;

export class MeshRunner {
  readonly #options: MeshRunnerOptions;
  readonly #ledger: ProcessLedger;
  readonly #random: Random = systemRandom;
  readonly #control: ControlRunner;
  readonly #echo: ControlEcho;
  readonly #fileWatch: MeshFileWatch;
  #instances: readonly InstanceRunner[] = [];
  /** Made while the control plane starts. */
  readonly #proxyCommand: Promise<readonly string[]>;
  #client: ApiClient | undefined;
  #logTimer: ReturnType<typeof setInterval> | undefined;
  #stopping: Promise<void> | undefined;

  constructor(options: MeshRunnerOptions) {
    this.#options = options;
    const { stateDir, file, addresses, env, reporter } = options;
    this.#ledger = new ProcessLedger(stateDir, (text) => reporter.warn(text));
    this.#echo = new ControlEcho(logPath(stateDir, 'control'), reporter);
    this.#fileWatch = new MeshFileWatch({ file, timers: systemTimers, say: (text) => reporter.warn(text) });
    this.#proxyCommand = proxyCommand((text) => reporter.warn(text));
    this.#control = new ControlRunner({
      stateDir,
      resources: [...file.resources, this.#generatedDir()],
      optionalResources: file.optionalResources,
      meshConfig: file.path,
      addresses,
      ledger: this.#ledger,
      env,
      random: this.#random,
      onEvent: (text) => reporter.warn(text),
    });
  }

  get instances(): readonly InstanceRunner[] {
    return this.#instances;
  }

  get client(): ApiClient {
    if (this.#client === undefined) throw new Error('the mesh has no control plane yet');
    return this.#client;
  }

  /** Resolves when every application was started; readiness is reported as it comes. Throws what hinders it. */
  async start(): Promise<void> {
    this.#writeGeneratedServices();
    await this.#control.start();
    this.#connect();
    this.#echo.start();
    this.#fileWatch.start();
    const { services } = await this.client.get<{ services: readonly ServiceSummary[] }>(
      '/sluice/v1/services',
    );
    const { sidecars } = await this.client.get<SummaryView>(viewPaths.summary);
    const plans = await this.#plan(services);
    this.#instances = this.#createInstances(plans, services, sidecars);
    this.#logTimer = setInterval(() => this.#capLogs(), logCheckMs);
    const failed = (await Promise.allSettled(this.#instances.map((instance) => instance.start()))).find(
      (one) => one.status === 'rejected',
    );
    if (failed !== undefined && this.#stopping === undefined) throw failed.reason;
  }

  /** In order: out of the registry, requests finished, applications, sidecars, control plane. */
  stop(): Promise<void> {
    return (this.#stopping ??= this.#stop());
  }

  /** Everything at once. */
  kill(): void {
    for (const instance of this.#instances) instance.kill();
    this.#control.kill();
  }

  async #stop(): Promise<void> {
    clearInterval(this.#logTimer);
    this.#echo.stop();
    this.#fileWatch.stop();
    await this.#each((instance) => instance.leave());
    await this.#drained();
    await this.#each((instance) => instance.stopApp());
    await this.#each((instance) => instance.stopSidecar());
    await this.#control.stop();
    removeMeshRecord(this.#options.stateDir, this.#options.env);
  }

  async #each(work: (instance: InstanceRunner) => Promise<void>): Promise<void> {
    await Promise.allSettled(this.#instances.map(work));
  }

  async #drained(): Promise<void> {
    const deadlineMs = performance.now() + drainMs;
    while (performance.now() < deadlineMs) {
      const active = await Promise.all(this.#instances.map((instance) => instance.activeRequests()));
      if (active.every((count) => count === 0)) return;
      await Bun.sleep(drainPollMs);
    }
  }

  #connect(): void {
    const { stateDir, addresses, file, env } = this.#options;
    const own = identify(process.pid);
    if (own === undefined) throw new Error('the system does not tell when this process was started');
    const token = readFileSync(join(stateDir, stateFiles.token), 'utf8').trim();
    this.#client = new ApiClient({ apiUrl: `http://${addresses.api}`, token });
    writeMeshRecord(
      {
        name: file.name,
        dir: file.dir,
        stateDir,
        process: own,
        ...addresses,
        startedAt: new Date().toISOString(),
      },
      env,
    );
  }

  async #plan(services: readonly ServiceSummary[]): Promise<readonly InstancePlan[]> {
    const { file, stateDir, range, commands, reservations, reporter } = this.#options;
    const { plans, notices } = await reservations.plan((isTaken) => {
      const path = join(stateDir, stateFiles.ports);
      const book = new PortBook({
        path,
        range,
        canBind: (port) => !isTaken(port) && canBind(port),
        seed: stateDir,
      });
      const planned = planInstances({ workloads: file.config.workloads, services, commands, book });
      return { result: { plans: planned, notices: book.notices }, spans: book.spans };
    });
    for (const notice of notices) reporter.warn(notice);
    return plans;
  }

  #createInstances(
    plans: readonly InstancePlan[],
    services: readonly ServiceSummary[],
    sidecars: SidecarSettings,
  ): readonly InstanceRunner[] {
    const { stateDir, reporter, env, addresses } = this.#options;
    const runners = new Map<string, InstanceRunner[]>();
    const portNames = new Map(
      services.flatMap((service) =>
        service.ports.map((port) => [`${service.namespace}/${service.name}:${port.number}`, port.name]),
      ),
    );
    // Dependencies may stand later in the file than those that wait for them.
    const { promise: allCreated, resolve: created } = Promise.withResolvers<void>();
    const readyOf = async (names: readonly string[]): Promise<void> => {
      await allCreated;
      await Promise.all(names.flatMap((name) => runners.get(name) ?? []).map((runner) => runner.firstReady));
    };
    const all = plans.map((plan) => {
      const runner = new InstanceRunner(plan, {
        proxyCommand: this.#proxyCommand,
        client: this.client,
        stateDir,
        ledger: this.#ledger,
        reporter,
        random: this.#random,
        env,
        portNames,
        version: sluiceVersion,
        leaseMs,
        sidecars,
        allowsBypass: this.#options.allowsBypass,
        secureAddress: addresses.secure,
        dependencies: readyOf(plan.workload.dependsOn),
      });
      runners.set(plan.workload.name, [...(runners.get(plan.workload.name) ?? []), runner]);
      return runner;
    });
    created();
    return all;
  }

  #generatedDir(): string {
    return join(this.#options.stateDir, stateFiles.generated);
  }

  #writeGeneratedServices(): void {
    const { config, resources } = this.#options.file;
    mkdirSync(this.#generatedDir(), { recursive: true, mode: 0o700 });
    writeFileSync(
      join(this.#generatedDir(), 'services.yaml'),
      renderServices(config.workloads, definedServices(resources)),
    );
  }

  #capLogs(): void {
    const { stateDir } = this.#options;
    capLog(logPath(stateDir, 'control'));
    for (const { plan } of this.#instances) {
      capLog(logPath(stateDir, 'proxy', plan.name));
      capLog(logPath(stateDir, 'app', plan.name));
    }
  }
}
