/**
 * One instance of a workload: registered, its sidecar configured, then the application (pains row 1: never before
 * its proxy has configuration), probed and reported while it lives, and taken down in the reverse order.
 *
 *   register ─► sidecar ready ─► (dependencies ready) ─► application ─► probes ─► health told
 */
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Random } from '@sluice/runtime';
import type { ApiClient } from '../mesh/api-client.ts';
import type { SidecarSettings } from '../mesh/views.ts';
import { describeExit, spawnChild, type Child, type ChildExit } from '../process/child.ts';
import type { ProcessLedger } from '../process/ledger.ts';
import { Supervisor, systemTimers } from '../process/supervisor.ts';
import { appEnv } from './app-env.ts';
import { BypassGuard } from './bypass-guard.ts';
import { expandArgs } from './expand-args.ts';
import { IdentityFolder } from './identity-folder.ts';
import { findExposed } from './exposed-ports.ts';
import { describeAddress, toRegistration, type InstancePlan } from './instance-plan.ts';
import { appendLog, beginLog, logPath } from './log-files.ts';
import { runProbe } from './probe.ts';
import { ReadinessWatch } from './readiness.ts';
import { MeshRegistration } from './registration.ts';
import { LineCutter, type Reporter } from './reporter.ts';
import { Sidecar } from './sidecar.ts';

export interface InstanceDependencies {
  /** The argv of sidecars, their own arguments to follow. */
  readonly proxyCommand: Promise<readonly string[]>;
  readonly client: ApiClient;
  readonly stateDir: string;
  readonly ledger: ProcessLedger;
  readonly reporter: Reporter;
  readonly random: Random;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Names of service ports, `namespace/service:number` → name. */
  readonly portNames: ReadonlyMap<string, string>;
  readonly version: string;
  readonly leaseMs: number;
  readonly sidecars: SidecarSettings;
  /** Applications may listen beyond loopback under STRICT. */
  readonly allowsBypass: boolean;
  /** `host:port` of the control plane's secure port. */
  readonly secureAddress: string;
  /** Resolves when the workloads this one depends on are ready. */
  readonly dependencies: Promise<void>;
}

/** Grace of a sidecar beyond its own drain time. */
const sidecarGraceMs = 1500;

export class InstanceRunner {
  readonly plan: InstancePlan;
  readonly #deps: InstanceDependencies;
  readonly #registration: MeshRegistration;
  readonly #sidecar: Sidecar | undefined;
  readonly #readiness: ReadinessWatch;
  readonly #guard: BypassGuard;
  #app: Supervisor;
  readonly #firstReady = Promise.withResolvers<void>();
  readonly #finished = Promise.withResolvers<ChildExit>();
  #isStopping = false;
  /** Stopped by the guard. */
  #isHeld = false;
  #wasReady = false;
  /** The disk did not take its last line. */
  #hasLostLines = false;

  constructor(plan: InstancePlan, deps: InstanceDependencies) {
    this.plan = plan;
    this.#deps = deps;
    this.#registration = new MeshRegistration({
      client: deps.client,
      registration: toRegistration(plan, deps),
      timers: systemTimers,
      onRegisteredAnew: () => void this.#registeredAnew(),
      onTrouble: (text) => this.#say(text, 'bad'),
      onStrictPorts: (ports) => this.#guard.update(ports),
    });
    this.#guard = this.#createGuard();
    this.#sidecar = plan.workload.hasSidecar ? this.#createSidecar() : undefined;
    this.#readiness = new ReadinessWatch({
      settings: plan.workload.readiness,
      timers: systemTimers,
      probe: () =>
        runProbe({
          check: plan.workload.readiness.check,
          port: plan.ports.ports[0]?.app,
          timeoutMs: plan.workload.readiness.timeoutMs,
          cwd: plan.command.cwd,
          env: this.#env(),
        }),
      onChange: (isReady, reason) => void this.#readinessChanged(isReady, reason),
    });
    this.#app = this.#createApp();
  }

  get wasReady(): boolean {
    return this.#wasReady;
  }

  /** Resolves at its first readiness, or when a job has ended well. */
  get firstReady(): Promise<void> {
    return this.#firstReady.promise;
  }

  /** Resolves with the application's last exit, when its policy does not start it again. */
  get finished(): Promise<ChildExit> {
    return this.#finished.promise;
  }

  /** Resolves when the application has been started. Throws what hinders it. */
  async start(): Promise<void> {
    const { stateDir, dependencies } = this.#deps;
    await this.#registration.begin();
    await this.#sidecar?.start();
    await dependencies;
    if (this.#isStopping) return;
    mkdirSync(this.#workDir(), { recursive: true, mode: 0o700 });
    beginLog(logPath(stateDir, 'app', this.plan.name));
    this.#app.start();
  }

  /** No new requests: out of the registry first, then the listeners. */
  async leave(): Promise<void> {
    this.#isStopping = true;
    this.#guard.unwatch();
    this.#readiness.stop('stopping');
    await this.#registration.end();
    await this.#sidecar?.drainInbound();
  }

  async activeRequests(): Promise<number> {
    return (await this.#sidecar?.activeRequests()) ?? 0;
  }

  async stopApp(): Promise<void> {
    await this.#app.stop(this.plan.workload.stopTimeoutMs);
  }

  async stopSidecar(): Promise<void> {
    await this.#sidecar?.stop(this.#deps.sidecars.terminationDrainMs + sidecarGraceMs);
  }

  /** At once, whatever is under way. */
  kill(): void {
    this.#app.kill();
    this.#sidecar?.kill();
  }

  #createApp(): Supervisor {
    return new Supervisor({
      restart: this.plan.workload.restart,
      start: () => this.#spawnApp(),
      timers: systemTimers,
      random: this.#deps.random,
      onStarted: (child) => this.#appStarted(child),
      onExited: (exit, restartInMs) => this.#appExited(exit, restartInMs),
    });
  }

  #createGuard(): BypassGuard {
    const isAllowed = this.plan.workload.allowBypass || this.#deps.allowsBypass;
    return new BypassGuard({
      isAllowed,
      find: findExposed,
      timers: systemTimers,
      onExposed: (text) => {
        this.#say(text, 'bad');
        if (!isAllowed) void this.#hold(text);
      },
      onReleased: () => void this.#release(),
    });
  }

  /** Ends an application that must not run as it is; it is started again when it may. */
  async #hold(reason: string): Promise<void> {
    if (this.#isHeld || this.#isStopping) return;
    this.#isHeld = true;
    this.#guard.unwatch();
    this.#readiness.stop(reason);
    this.#registration.tell(false, reason);
    await this.#app.stop(this.plan.workload.stopTimeoutMs);
  }

  async #release(): Promise<void> {
    if (!this.#isHeld) return;
    await this.#app.ended;
    if (!this.#isHeld || this.#isStopping) return;
    this.#isHeld = false;
    this.#say('STRICT holds no longer: starting it again', 'plain');
    this.#app = this.#createApp();
    this.#app.start();
  }

  #createSidecar(): Sidecar {
    const { client, stateDir, ledger, env, random, secureAddress, proxyCommand, sidecars } = this.#deps;
    const { name, workload, ports } = this.plan;
    const { namespace, serviceAccount } = workload;
    const identity = new IdentityFolder({
      client,
      stateDir,
      name,
      namespace,
      serviceAccount,
      authority: secureAddress,
    });
    return new Sidecar({
      secretPaths: this.plan.workload.secretPaths.map((path) => resolve(this.plan.command.cwd, path)),
      identity,
      name,
      instance: `${name}.${workload.namespace}`,
      ports,
      stateDir,
      proxyCommand,
      client,
      token: () => this.#registration.token,
      ledger,
      settings: sidecars,
      env,
      random,
      onEvent: (text, isBad) => this.#say(text, isBad ? 'bad' : 'plain'),
    });
  }

  #spawnApp(): Child {
    const { stateDir, reporter } = this.#deps;
    const { name, command } = this.plan;
    const log = logPath(stateDir, 'app', name);
    const onLine = (line: string): void => {
      const isWritten = appendLog(log, `${line}\n`);
      if (!isWritten && !this.#hasLostLines)
        this.#say(`its log takes no more lines (${log}): is the disk full?`, 'bad');
      this.#hasLostLines = !isWritten;
      reporter.line(name, line);
    };
    const cutters = [new LineCutter(onLine), new LineCutter(onLine)] as const;
    const env = this.#env();
    const child = spawnChild({
      argv: expandArgs(command.argv, env),
      cwd: command.cwd,
      env,
      output: { onText: (text, isError) => cutters[isError ? 1 : 0].push(text) },
    });
    void child.exited.then(() => cutters.forEach((cutter) => cutter.flush()));
    return child;
  }

  #appStarted(child: Child): void {
    this.#deps.ledger.track(this.plan.name, child);
    this.#readiness.start();
    if (this.plan.workload.hasSidecar) this.#guard.watch();
  }

  #appExited(exit: ChildExit, restartInMs: number | undefined): void {
    this.#guard.unwatch();
    if (this.#isHeld) return;
    this.#readiness.stop(`it ${describeExit(exit)}`);
    if (this.#isStopping) return;
    if (restartInMs === undefined) {
      const isFine = exit.code === 0;
      this.#say(`it ${describeExit(exit)} and is not started again`, isFine ? 'plain' : 'bad');
      void this.#retire(exit);
      return;
    }
    const when =
      restartInMs === 0 ? 'starting it again' : `starting it again in ${Math.ceil(restartInMs / 100) / 10} s`;
    this.#say(`it ${describeExit(exit)}: ${when}`, 'bad');
  }

  /** A job is over: its sidecar has nothing left to do (pains row 3), and who waited for it may go on. */
  async #retire(exit: ChildExit): Promise<void> {
    this.#wasReady ||= exit.code === 0;
    if (exit.code === 0) this.#firstReady.resolve();
    await this.#registration.end();
    await this.stopSidecar();
    this.#finished.resolve(exit);
  }

  /** Something that ends by itself and serves nothing: who depends on it waits for its success. */
  get #isJob(): boolean {
    const { restart, ports } = this.plan.workload;
    return restart !== 'always' && ports.length === 0;
  }

  /** Before others are told that it takes traffic, it has to be right that only its sidecar brings any. */
  async #readinessChanged(isReady: boolean, reason: string): Promise<void> {
    if (isReady && this.plan.workload.hasSidecar && !(await this.#guard.check())) return;
    // Meanwhile it may have ended, or been stopped.
    if (this.#isHeld || isReady !== this.#readiness.isReady) return;
    this.#registration.tell(isReady, reason);
    if (isReady) {
      this.#say(`ready ${describeAddress(this.plan)}`, 'good');
      this.#wasReady = true;
      if (!this.#isJob) this.#firstReady.resolve();
    } else if (!this.#isStopping) this.#say(`not ready: ${reason}`, 'bad');
  }

  async #registeredAnew(): Promise<void> {
    this.#say('registered again after the control plane had lost sight of it', 'plain');
    try {
      await this.#sidecar?.renew();
    } catch (error) {
      this.#say(
        `its sidecar could not be given its new token: ${error instanceof Error ? error.message : String(error)}`,
        'bad',
      );
    }
  }

  #env(): Record<string, string> {
    const { env, portNames } = this.#deps;
    const { name, workload, command, ports } = this.plan;
    return appEnv({
      base: env,
      configured: command.env,
      namespace: workload.namespace,
      workload: workload.name,
      instance: name,
      version: workload.version,
      ports: ports.ports,
      outbound: workload.hasSidecar ? this.#registration.outbound : [],
      portNames,
      workDir: this.#workDir(),
    });
  }

  #workDir(): string {
    return join(this.#deps.stateDir, 'work', this.plan.workload.name);
  }

  #say(text: string, tone: 'plain' | 'good' | 'bad'): void {
    this.#deps.reporter.about(this.plan.name, text, tone);
  }
}
