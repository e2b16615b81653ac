/**
 * The sidecar of one instance: its bootstrap file, its process, and whether it has configuration. Restarted at once
 * with the same ports when it crashes, for as long as the instance lives.
 */
import { mkdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Random } from '@sluice/runtime';
import { cliError } from '../errors.ts';
import type { ApiClient } from '../mesh/api-client.ts';
import { stateFiles, writeFileWhole } from '../mesh/state-dir.ts';
import { describeExit, spawnChild, type Child, type ChildExit } from '../process/child.ts';
import { proxyEnvironment } from '../process/proxy-environment.ts';
import type { ProcessLedger } from '../process/ledger.ts';
import { Supervisor, systemTimers } from '../process/supervisor.ts';
import type { SidecarSettings } from '../mesh/views.ts';
import type { IdentityFolder } from './identity-folder.ts';
import type { InstancePorts } from './port-book.ts';
import { beginLog, lastLines, logPath } from './log-files.ts';
import { sidecarFlags } from './sidecar-flags.ts';

export interface SidecarOptions {
  readonly name: string;
  readonly instance: string;
  readonly ports: Pick<InstancePorts, 'admin' | 'health' | 'metrics'>;
  readonly stateDir: string;
  /** Absolute: what remote configuration may have it read. */
  readonly secretPaths: readonly string[];
  /** The proxy's argv, its own arguments to follow. */
  readonly proxyCommand: Promise<readonly string[]>;
  readonly client: ApiClient;
  readonly token: () => string;
  readonly identity: IdentityFolder;
  readonly ledger: ProcessLedger;
  readonly settings: SidecarSettings;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly random: Random;
  readonly onEvent: (text: string, isBad: boolean) => void;
}

const readyTimeoutMs = 60_000;
const readyPollMs = 40;
const adminTimeoutMs = 1000;
/** Crashes before the first readiness after which there is no point in more. */
const maxEarlyCrashes = 3;
const shownLogLines = 12;

export class Sidecar {
  readonly #options: SidecarOptions;
  readonly #supervisor: Supervisor;
  readonly #log: string;
  readonly #bootstrapPath: string;
  #lastExit: ChildExit | undefined;
  #crashes = 0;
  #command: readonly string[] = [];
  #wasReady = false;

  constructor(options: SidecarOptions) {
    this.#options = options;
    this.#log = logPath(options.stateDir, 'proxy', options.name);
    this.#bootstrapPath = join(options.stateDir, stateFiles.bootstraps, `${options.name}.json`);
    this.#supervisor = new Supervisor({
      restart: 'always',
      start: () => this.#spawn(),
      timers: systemTimers,
      random: options.random,
      onExited: (exit, restartInMs) => this.#exited(exit, restartInMs),
    });
  }

  get pid(): number | undefined {
    return this.#supervisor.child?.pid;
  }

  /** Resolves when the proxy has its configuration. Throws `process-failed` with the end of its log. */
  async start(): Promise<void> {
    beginLog(this.#log);
    this.#command = await this.#options.proxyCommand;
    await this.#options.identity.prepare();
    await this.writeBootstrap();
    this.#supervisor.start();
    const deadlineMs = performance.now() + readyTimeoutMs;
    while (!(await this.#isReady())) {
      const isHopeless = this.#crashes >= maxEarlyCrashes || this.#supervisor.state === 'ended';
      if (isHopeless || performance.now() > deadlineMs) throw this.#failure(isHopeless);
      await Bun.sleep(readyPollMs);
    }
    this.#wasReady = true;
  }

  async writeBootstrap(): Promise<void> {
    const { client, instance, token, stateDir } = this.#options;
    const bootstrap = await client.get<object>(
      `/sluice/v1/bootstrap?instance=${encodeURIComponent(instance)}`,
      { token: token() },
    );
    mkdirSync(join(stateDir, stateFiles.bootstraps), { recursive: true, mode: 0o700 });
    writeFileWhole(this.#bootstrapPath, `${JSON.stringify(bootstrap, null, 2)}\n`);
  }

  /** With a new bootstrap, after the instance was registered anew. */
  async renew(): Promise<void> {
    await this.#options.identity.prepare();
    await this.writeBootstrap();
    this.#supervisor.restart(this.#options.settings.terminationDrainMs);
  }

  /** No new connections from others; those that are here go on. */
  async drainInbound(): Promise<void> {
    await this.#admin('/drain_listeners?inboundonly&graceful&skip_exit', 'POST');
  }

  /** Requests under way, from its own counters; 0 when it does not say. */
  async activeRequests(): Promise<number> {
    const text = (await this.#admin('/stats?filter=downstream_rq_active', 'GET')) ?? '';
    return [...text.matchAll(/^http\.(?!admin)[^:]*downstream_rq_active: (\d+)$/gm)].reduce(
      (sum, [, count]) => sum + Number(count),
      0,
    );
  }

  async stop(graceMs: number): Promise<void> {
    await this.#supervisor.stop(graceMs);
    this.#options.identity.remove();
  }

  kill(): void {
    this.#supervisor.kill();
  }

  #spawn(): Child {
    const { name, env, ledger, ports, identity, settings } = this.#options;
    const child = spawnChild({
      argv: [
        ...this.#command,
        '-c',
        this.#bootstrapPath,
        '--health-address',
        `127.0.0.1:${ports.health}`,
        '--prometheus-address',
        `127.0.0.1:${ports.metrics}`,
        ...sidecarFlags(settings, availableParallelism()),
        ...this.#options.secretPaths.flatMap((path) => ['--allow-secret-path', path]),
        ...identity.flags,
      ],
      cwd: this.#options.stateDir,
      env: { ...processEnv(env), ...proxyEnvironment(env) },
      output: {
        file: this.#log,
        onUnusable: (reason) =>
          this.#options.onEvent(
            `the log of its sidecar cannot be written (${reason}): it runs unheard`,
            true,
          ),
      },
    });
    ledger.track(`sidecar of ${name}`, child);
    return child;
  }

  #exited(exit: ChildExit, restartInMs: number | undefined): void {
    this.#lastExit = exit;
    this.#crashes++;
    if (restartInMs === undefined || !this.#wasReady) return;
    const when =
      restartInMs === 0 ? 'starting it again' : `starting it again in ${Math.ceil(restartInMs / 100) / 10} s`;
    this.#options.onEvent(`its sidecar ${describeExit(exit)}: ${when}`, true);
  }

  async #isReady(): Promise<boolean> {
    return (await this.#admin('/ready', 'GET')) !== undefined;
  }

  /** The reply's text; undefined when there was none, or a refusal. */
  async #admin(path: string, method: string): Promise<string | undefined> {
    try {
      const response = await fetch(`http://127.0.0.1:${this.#options.ports.admin}${path}`, {
        method,
        signal: AbortSignal.timeout(adminTimeoutMs),
      });
      const text = await response.text();
      return response.ok ? text : undefined;
    } catch {
      return undefined; // Not there yet, or not any more: the supervisor deals with that.
    }
  }

  #failure(hasCrashed: boolean): Error {
    const { name } = this.#options;
    const what =
      hasCrashed && this.#lastExit !== undefined
        ? describeExit(this.#lastExit)
        : `had no configuration after ${readyTimeoutMs / 1000} s`;
    const lines = lastLines(this.#log, shownLogLines).map((line) => `  ${line}`);
    return cliError(
      'process-failed',
      `the sidecar of ${name} ${what}; its log (${this.#log}) ends with\n${lines.join('\n')}`,
    );
  }
}

/** What our own processes need of the environment; proxy settings would send their requests astray. */
export function processEnv(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const kept = [
    'PATH',
    'HOME',
    'TMPDIR',
    'LANG',
    'LC_ALL',
    'TZ',
    'USER',
    'BUN_JSC_useConcurrentGC',
    'SSL_CERT_FILE',
    'SSL_CERT_DIR',
  ];
  return Object.fromEntries(kept.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])));
}
