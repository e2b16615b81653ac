/** The control plane of a local mesh: started, waited for, started again at once when it crashes, stopped last. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Random } from '@sluice/runtime';
import { cliError } from '../errors.ts';
import { ApiClient } from '../mesh/api-client.ts';
import { stateFiles } from '../mesh/state-dir.ts';
import { describeExit, spawnChild, type Child, type ChildExit } from '../process/child.ts';
import type { ProcessLedger } from '../process/ledger.ts';
import { selfCommand } from '../process/self-command.ts';
import { Supervisor, systemTimers } from '../process/supervisor.ts';
import { beginLog, lastLines, logPath } from './log-files.ts';
import { processEnv } from './sidecar.ts';
import { SilenceWatch } from './silence-watch.ts';

export interface ControlAddresses {
  readonly xds: string;
  readonly secure: string;
  readonly api: string;
  readonly metrics: string;
}

export interface ControlRunnerOptions {
  readonly stateDir: string;
  readonly resources: readonly string[];
  /** May appear later. */
  readonly optionalResources: readonly string[];
  readonly meshConfig: string;
  readonly addresses: ControlAddresses;
  readonly ledger: ProcessLedger;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly random: Random;
  readonly onEvent: (text: string) => void;
}

/** A laptop that slept over a weekend goes on where it was. */
const expiredRenewal = '48h';
const readyTimeoutMs = 30_000;
const readyPollMs = 40;
const stopGraceMs = 5000;
const shownLogLines = 12;
const maxReasonLength = 400;
/** How often a running control plane is asked whether it answers, and how long it may be silent unremarked. */
const watchPollMs = 2000;
const silenceMs = 10_000;

export class ControlRunner {
  readonly #options: ControlRunnerOptions;
  readonly #supervisor: Supervisor;
  readonly #log: string;
  #firstExit: ChildExit | undefined;
  #isReady = false;
  /** Its log could not be opened: what stands there is of an earlier one. */
  #isUnheard = false;
  readonly #silence: SilenceWatch;

  constructor(options: ControlRunnerOptions) {
    this.#options = options;
    this.#log = logPath(options.stateDir, 'control');
    this.#silence = new SilenceWatch({
      timers: systemTimers,
      pollMs: watchPollMs,
      silenceMs,
      // What is being started again says so itself.
      answers: async () => this.#supervisor.child === undefined || (await this.#answers()),
      onSilent: () =>
        options.onEvent(
          `the control plane (process ${this.#supervisor.child?.pid ?? 0}) runs and has not answered for ${silenceMs / 1000} s: traffic goes on, changes wait; if it does not recover, end it, and it is started again`,
        ),
      onAnswers: () => options.onEvent('the control plane answers again'),
    });
    this.#supervisor = new Supervisor({
      restart: 'always',
      start: () => this.#spawn(),
      timers: systemTimers,
      random: options.random,
      onExited: (exit, restartInMs) => this.#exited(exit, restartInMs),
    });
  }

  /** Resolves when it is ready. Throws `process-failed` with the end of its log. */
  async start(): Promise<void> {
    beginLog(this.#log);
    this.#supervisor.start();
    const deadlineMs = performance.now() + readyTimeoutMs;
    while (!(await this.#answers()) || !(await this.#isOurs())) {
      if (this.#firstExit !== undefined || performance.now() > deadlineMs) throw this.#failure();
      await Bun.sleep(readyPollMs);
    }
    this.#isReady = true;
    this.#silence.start();
  }

  async stop(): Promise<void> {
    this.#silence.stop();
    await this.#supervisor.stop(stopGraceMs);
  }

  kill(): void {
    this.#supervisor.kill();
  }

  #spawn(): Child {
    const { stateDir, resources, optionalResources, meshConfig, addresses, env, ledger } = this.#options;
    this.#isUnheard = false;
    const child = spawnChild({
      argv: [
        ...selfCommand('control'),
        '--state-dir',
        stateDir,
        ...resources.flatMap((path) => ['--resources', path]),
        ...optionalResources.flatMap((path) => ['--optional-resources', path]),
        '--mesh-config',
        meshConfig,
        '--xds-address',
        addresses.xds,
        '--secure-xds-address',
        addresses.secure,
        '--expired-renewal',
        expiredRenewal,
        '--api-address',
        addresses.api,
        '--metrics-address',
        addresses.metrics,
      ],
      cwd: stateDir,
      env: processEnv(env),
      output: {
        file: this.#log,
        onUnusable: (reason) =>
          this.#options.onEvent(
            `the log of the control plane cannot be written (${reason}): it runs unheard`,
          ),
      },
    });
    ledger.track('control plane', child);
    return child;
  }

  #exited(exit: ChildExit, restartInMs: number | undefined): void {
    this.#firstExit ??= exit;
    if (restartInMs === undefined || !this.#isReady) return;
    const when =
      restartInMs === 0 ? 'starting it again' : `starting it again in ${Math.ceil(restartInMs / 100) / 10} s`;
    // Killed from outside it had nothing to say; what ends by itself says why, last.
    const [reason = ''] = exit.code === null || this.#isUnheard ? [] : lastLines(this.#log, 1);
    const words = reason === '' ? '' : ` (${reason.replaceAll('\t', ' ').slice(0, maxReasonLength)})`;
    this.#options.onEvent(`the control plane ${describeExit(exit)}${words}: ${when}; traffic goes on`);
  }

  async #answers(): Promise<boolean> {
    try {
      const response = await fetch(`http://${this.#options.addresses.api}/readyz`, {
        signal: AbortSignal.timeout(1000),
      });
      await response.body?.cancel();
      return response.ok;
    } catch {
      return false; // Not open yet.
    }
  }

  /** What answers at our port may be of another mesh that took it a moment before; only ours takes our token. */
  async #isOurs(): Promise<boolean> {
    const { stateDir, addresses } = this.#options;
    try {
      const token = readFileSync(join(stateDir, stateFiles.token), 'utf8').trim();
      await new ApiClient({ apiUrl: `http://${addresses.api}`, token }).get('/version');
      return true;
    } catch {
      return false; // No token yet, or another's.
    }
  }

  #failure(): Error {
    const what =
      this.#firstExit === undefined
        ? `was not ready after ${readyTimeoutMs / 1000} s`
        : describeExit(this.#firstExit);
    const lines = lastLines(this.#log, shownLogLines).map((line) => `  ${line}`);
    return cliError(
      'process-failed',
      `the control plane ${what}; its log (${this.#log}) ends with\n${lines.join('\n')}`,
    );
  }
}
