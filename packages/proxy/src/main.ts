/**
 * `sluice proxy`: Envoy's command line and bootstrap file in, a running proxy out.
 *
 * Exit status: 0 after an orderly end, 1 when the configuration or a socket cannot be had, 2 for a wrong
 * command line, 130 when a second signal cut the drain short.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { createLogger, StopRequests, systemRandom, type Logger, type TimerWheel } from '@sluice/runtime';
import manifest from '../package.json' with { type: 'json' };
import { startAdminServers, type AdminServers } from './admin-servers.ts';
import { parseCommandLine, usage, type CommandLine } from './command-line.ts';
import { adminSource } from './config/admin-source.ts';
import { BootstrapError, loadBootstrap, type BootstrapSource } from './config/bootstrap.ts';
import { checkStatic } from './config/check-static.ts';
import { ConfigChecker } from './config/checker.ts';
import { flatRuntime, runtimeLayers } from './config/runtime-layers.ts';
import { staticLogPaths } from './config/static-log-paths.ts';
import { trustBundleSecret, workloadSecret, type ClientTransport } from './identity/start-identity.ts';
import type { TlsClientContext } from './io/tls-context.ts';
import { ProxyProcess } from './proxy-process.ts';
import { HANDOVER_PROTOCOL } from './restart/handover-messages.ts';
import { HotRestart } from './restart/hot-restart.ts';
import { DEFAULT_ROTATION } from './telemetry/log-file.ts';
import { FileLogSinks } from './telemetry/log-sinks.ts';
import { openProcessLog, type ProcessLog } from './process-log.ts';
import { spawnWorker } from './workers/spawn-worker.ts';

const { version } = manifest;

/** Never rejects: what goes wrong is printed and becomes the exit status. */
export async function main(args: readonly string[]): Promise<void> {
  const parsed = parseCommandLine(args);
  if (parsed.kind === 'help') return print(usage);
  if (parsed.kind === 'version') return print(`sluice ${version} (bun ${Bun.version})\n`);
  if (parsed.kind === 'hot-restart-version') return print(`sluice.${HANDOVER_PROTOCOL}\n`);
  if (parsed.kind === 'error') return fail(2, [...parsed.problems, 'try --help']);
  const { options } = parsed;
  try {
    await run(options);
  } catch (error) {
    fail(
      1,
      error instanceof BootstrapError
        ? error.problems
        : [error instanceof Error ? error.message : String(error)],
    );
  }
}

async function run(given: CommandLine): Promise<void> {
  const { bootstrap, warnings } = loadBootstrap(sourcesOf(given), given.unsupportedFields);
  const options = { ...given, allowedLogPaths: [...given.allowedLogPaths, ...staticLogPaths(bootstrap)] };
  const environment = definedEnvironment();
  const facts = {
    hostname: hostname(),
    environment,
    runtime: flatRuntime(runtimeLayers(bootstrap)),
    allowedLogPaths: options.allowedLogPaths,
  };
  const agentSecrets = options.identity === null ? [] : [workloadSecret, trustBundleSecret];
  const checker = new ConfigChecker(facts, options.unsupportedFields);
  const verdict = checkStatic(bootstrap, checker, { agentSecrets, environment, nowWallMs: Date.now() });
  if (verdict.problems.length > 0) return fail(1, verdict.problems);
  if (options.mode === 'validate') {
    for (const notice of options.notices) print(`notice: ${notice}\n`);
    for (const warning of [...warnings, ...verdict.unhonoured]) print(`warning: ${warning}\n`);
    return print(`configuration '${options.configPath ?? '--config-yaml'}' OK\n`);
  }
  const log = openProcessLog(options.logPath);
  const logger = createProxyLogger(options, log);
  for (const notice of options.notices) logger.info(notice);
  const restart = createHotRestart(options, logger);
  let onLive = (): void => undefined;
  const proxy = new ProxyProcess({
    bootstrap,
    bootstrapWarnings: warnings,
    options,
    hostname: facts.hostname,
    environment,
    version,
    logger,
    writeLog: log.write,
    spawn: spawnWorker,
    transport: grpcTransport,
    createSinks: (wheel, metrics) => new FileLogSinks({ wheel, metrics, logger, rotation: DEFAULT_ROTATION }),
    inherit: (listener, spec) => restart?.claim(listener, spec) ?? null,
    onLive: () => onLive(),
  });
  const shutdown = new Shutdown(proxy, options, logger);
  const openAdmin = async (): Promise<void> => {
    const admin = await startAdmin(options, proxy, shutdown, logger);
    shutdown.onDrain = () => admin.stop();
  };
  restart?.offer({
    sockets: () => proxy.listeners.sockets(),
    drain: () => shutdown.handOver(),
  });
  shutdown.onEnd = () => restart?.stop();
  if (restart?.hasParent === true) onLive = () => becomeLive(restart, openAdmin, logger);
  else await openAdmin();
  proxy.start();
  handleSignals(proxy, shutdown, log, logger);
}

function createHotRestart(options: CommandLine, logger: Logger): HotRestart | null {
  if (options.hotRestart === null) return null;
  return new HotRestart({
    options: options.hotRestart,
    version,
    uid: process.getuid?.() ?? 0,
    logger: logger.child('restart'),
    random: systemRandom,
  });
}

/** The ports of admin are the parent's until it is told; traffic does not depend on them. */
function becomeLive(restart: HotRestart, openAdmin: () => Promise<void>, logger: Logger): void {
  restart.live();
  openAdmin().catch((error: unknown) => {
    logger.critical('the admin servers cannot be had; traffic is served without them', {
      error: error instanceof Error ? error.message : String(error),
    });
  });
}

/** Loaded by proxies that have a control plane. */
function grpcTransport(target: string, timers: TimerWheel, tls: TlsClientContext | null): ClientTransport {
  const { http2Transport } = require('./io/grpc-http2.ts') as typeof import('./io/grpc-http2.ts');
  return http2Transport({ target, timers, tls });
}

/** Drains once; whoever asks again ends the process at once. */
class Shutdown {
  readonly #proxy: ProxyProcess;
  readonly #options: CommandLine;
  readonly #logger: Logger;
  readonly #requests = new StopRequests();
  #isRunning = false;
  /** The admin servers of a process that is replaced close first. */
  onDrain: () => void = () => undefined;
  onEnd: () => void = () => undefined;

  constructor(proxy: ProxyProcess, options: CommandLine, logger: Logger) {
    this.#proxy = proxy;
    this.#options = options;
    this.#logger = logger;
  }

  signalled(signal: string): void {
    const request = this.#requests.hear();
    if (request === 'echo') return;
    if (this.#isRunning) {
      this.#logger.warning('ending at once', { signal });
      process.exit(130);
    }
    this.#logger.info('draining', { signal, withinMs: this.#gracefulMs });
    this.begin(true);
  }

  begin(isGraceful: boolean): void {
    this.#drain(isGraceful ? this.#gracefulMs : 0, false);
  }

  /** Another process serves from now on: there is time, and admin is its. */
  handOver(): void {
    this.onDrain();
    this.#drain(this.#gracefulMs, true);
  }

  get #gracefulMs(): number {
    const { drainTimeMs, parentShutdownTimeMs } = this.#options;
    return Math.min(drainTimeMs, parentShutdownTimeMs);
  }

  #drain(afterMs: number, mayWait: boolean): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#proxy.drain(afterMs, mayWait, () => {
      this.#logger.info('drained');
      this.onDrain();
      this.onEnd();
      process.exit(0);
    });
  }
}

function handleSignals(proxy: ProxyProcess, shutdown: Shutdown, log: ProcessLog, logger: Logger): void {
  process.on('SIGTERM', () => shutdown.signalled('SIGTERM'));
  process.on('SIGINT', () => shutdown.signalled('SIGINT'));
  process.on('SIGUSR1', () => {
    proxy.reopenLogs();
    log.reopen();
    logger.info('log files reopened');
  });
  process.on('SIGHUP', () =>
    logger.info('SIGHUP is ignored: configuration comes from the control plane or a restart'),
  );
}

async function startAdmin(
  options: CommandLine,
  proxy: ProxyProcess,
  shutdown: Shutdown,
  logger: Logger,
): Promise<AdminServers> {
  const source = adminSource(proxy, {
    quit: () => shutdown.begin(false),
    drainAndExit: () => shutdown.begin(true),
    nowWallMs: () => Date.now(),
  });
  const servers = await startAdminServers(proxy.deps.bootstrap, options, source, (server, address) =>
    logger.info(server, { address }),
  );
  if (options.adminAddressPath !== null && servers.adminAddress !== null)
    writeFileSync(options.adminAddressPath, servers.adminAddress);
  return servers;
}

function createProxyLogger(options: CommandLine, log: ProcessLog): Logger {
  const logger = createLogger({
    component: 'main',
    level: options.logLevel,
    format: options.logFormat,
    write: log.write,
  });
  for (const [component, level] of Object.entries(options.componentLogLevels))
    logger.setLevel(level, component);
  return logger;
}

function sourcesOf(options: CommandLine): BootstrapSource[] {
  const sources: BootstrapSource[] = [];
  if (options.configPath !== null) {
    if (!existsSync(options.configPath)) throw new Error(`${options.configPath}: no such file`);
    sources.push({ name: options.configPath, text: readFileSync(options.configPath, 'utf8') });
  }
  if (options.configYaml !== null) sources.push({ name: '--config-yaml', text: options.configYaml });
  return sources;
}

function definedEnvironment(): Record<string, string> {
  const defined = Object.entries(process.env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  return Object.fromEntries(defined);
}

function print(text: string): void {
  process.stdout.write(text);
}

function fail(status: number, problems: readonly string[]): void {
  for (const problem of problems) process.stderr.write(`sluice proxy: ${problem}\n`);
  process.exitCode = status;
}

if (import.meta.main) await main(process.argv.slice(2));
