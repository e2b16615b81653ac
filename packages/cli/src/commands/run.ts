/** `sluice run -- CMD`: one workload with its sidecar, joined to a control plane that runs already. */
import { mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { settleWorkload, splitCommand, type SluiceReadiness, type SluiceWorkload } from '@sluice/api';
import { sluiceVersion, StopRequests, systemRandom } from '@sluice/runtime';
import type { ParsedArgs } from '../args/parse.ts';
import type { CommandContext } from '../context.ts';
import { cliError, exitStatus } from '../errors.ts';
import { PortReservations } from '../mesh/port-reservations.ts';
import { makePrivateDir } from '../mesh/state-dir.ts';
import { viewPaths, type ServiceView, type SummaryView } from '../mesh/views.ts';
import { endLeftovers, ProcessLedger } from '../process/ledger.ts';
import { proxyCommand } from '../process/proxy-bundle.ts';
import { chooseCommand } from '../up/choose-command.ts';
import { lockFolder } from '../up/folder-lock.ts';
import { canBind } from '../up/free-port.ts';
import { InstanceRunner } from '../up/instance-runner.ts';
import { prepareLogs } from '../up/log-files.ts';
import { leaseMs } from '../up/mesh-runner.ts';
import { planInstances, workloadKey } from '../up/plan-instances.ts';
import { defaultPortRange, PortBook } from '../up/port-book.ts';
import { createReporter } from '../up/reporter.ts';
import { connect } from './connect.ts';

export async function run(context: CommandContext): Promise<number> {
  const { args, env, cwd, out } = context;
  const workload = readWorkload(args);
  const which = (program: string, folder: string): string | undefined =>
    Bun.which(program, { PATH: env['PATH'] ?? '', cwd: folder }) ?? undefined;
  const command = chooseCommand(workload, { dir: cwd, which, usesPlainCommand: true });
  const { client, mesh } = connect(context);
  const { services } = await client.get<{ services: readonly ServiceView[] }>(viewPaths.services);
  const { addresses, sidecars } = await client.get<SummaryView>(viewPaths.summary);
  const stateDir = mesh.stateDir ?? join(tmpdir(), `sluice-${process.getuid?.() ?? 0}-run`);
  const ownDir = join(stateDir, 'run', `${workload.name}.${workload.namespace}`);
  mkdirSync(join(stateDir, 'run'), { recursive: true, mode: 0o700 });
  makePrivateDir(ownDir);
  const lock = lockFolder(ownDir);
  const reservations = new PortReservations(ownDir, env);
  try {
    await endLeftovers(ownDir);
    prepareLogs(stateDir);
    const [plan, notices] = await reservations.plan((isTaken) => {
      const path = join(ownDir, 'ports.json');
      const book = new PortBook({
        path,
        range: defaultPortRange,
        canBind: (port) => !isTaken(port) && canBind(port),
        seed: ownDir,
      });
      const commands = new Map([[workloadKey(workload), command]]);
      const [planned] = planInstances({ workloads: [workload], services, commands, book });
      return { result: [planned, book.notices] as const, spans: book.spans };
    });
    if (plan === undefined) throw cliError('usage', 'there is nothing to run');
    const reporter = createReporter(out, [plan.name]);
    for (const notice of notices) reporter.warn(notice);
    const runner = new InstanceRunner(plan, {
      proxyCommand: proxyCommand((text) => reporter.warn(text)),
      client,
      stateDir,
      ledger: new ProcessLedger(ownDir, (text) => reporter.warn(text)),
      reporter,
      random: systemRandom,
      env,
      portNames: new Map(
        services.flatMap((service) =>
          service.ports.map((port) => [`${service.namespace}/${service.name}:${port.number}`, port.name]),
        ),
      ),
      version: sluiceVersion,
      leaseMs,
      sidecars,
      allowsBypass: context.args.has('allow-bypass'),
      secureAddress: addresses.secure,
      dependencies: Promise.resolve(),
    });
    return await runUntilEnd(context, runner);
  } finally {
    reservations.release();
    lock.release();
  }
}

/** The status of the application, or 0 when it was asked to stop. */
async function runUntilEnd({ signals }: CommandContext, runner: InstanceRunner): Promise<number> {
  const { promise: asked, resolve } = Promise.withResolvers<'asked'>();
  const requests = new StopRequests();
  const listening = signals.listen(() => {
    if (requests.hear() === 'again') {
      runner.kill();
      signals.exit(exitStatus.interrupted);
    }
    resolve('asked');
  });
  try {
    const started = runner.start();
    const first = await Promise.race([started, asked]);
    const end = first === 'asked' ? first : await Promise.race([runner.finished, asked]);
    return end === 'asked' ? exitStatus.done : (end.code ?? exitStatus.failed);
  } finally {
    await runner.leave();
    await runner.stopApp();
    await runner.stopSidecar();
    listening.stop();
  }
}

/** Throws `usage`. */
export function readWorkload(args: ParsedArgs): SluiceWorkload {
  const { rest } = args;
  const [program] = rest;
  if (program === undefined)
    throw cliError(
      'usage',
      'say what to run after two dashes: run --name shop --port http:8080 -- bun shop.ts',
    );
  const name =
    args.text('name') ??
    basename(program)
      .toLowerCase()
      .replaceAll(/[^a-z0-9-]/g, '-');
  const labels = readLabels(args.list('labels'));
  const restart = (args.text('restart') ?? 'never') as 'always' | 'on-failure' | 'never';
  const serviceAccount = args.text('service-account');
  const readiness = args.text('readiness');
  const namespace = args.text('namespace');
  return settleWorkload(name, {
    command: [...rest],
    ports: args.list('port').map(readPort),
    labels,
    restart,
    ...(namespace === undefined ? {} : { namespace }),
    ...(serviceAccount === undefined ? {} : { serviceAccount }),
    ...(readiness === undefined ? {} : { readiness: readReadiness(readiness) }),
  });
}

/** `http:8080`, `8080`, or `http` for a port that is allotted and given as PORT. */
function readPort(text: string): { name: string; port: number; targetPort?: number } {
  const match = /^(?:([a-z][a-z0-9-]*):?)?(\d{1,5})?$/.exec(text);
  const port = Number(match?.[2] ?? 0);
  if (match === null || text === '' || port > 65_535)
    throw cliError('usage', `--port ${text} is not a port: write NAME:PORT, PORT, or NAME to be given one`);
  const name = match[1] ?? 'http';
  return port === 0 ? { name, port: 80 } : { name, port, targetPort: port };
}

function readLabels(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const equals = pair.indexOf('=');
      if (equals <= 0) throw cliError('usage', `--labels ${pair} is not KEY=VALUE`);
      return [pair.slice(0, equals), pair.slice(equals + 1)];
    }),
  );
}

/** `http:/healthz`, `tcp`, `tcp:8080`, `grpc`, `grpc:my.Service`, `exec:test -f ready`. */
function readReadiness(text: string): SluiceReadiness {
  const colon = text.indexOf(':');
  const [type, value] = colon < 0 ? [text, ''] : [text.slice(0, colon), text.slice(colon + 1)];
  switch (type) {
    case 'http':
      return { http: value === '' ? '/' : value };
    case 'tcp':
      return { tcp: value === '' ? true : Number(value) };
    case 'grpc':
      return { grpc: value === '' ? true : /^\d+$/.test(value) ? Number(value) : value };
    case 'exec':
      return { exec: splitCommand(value) };
    default:
      throw cliError(
        'usage',
        `--readiness ${text} is not understood: write http:/PATH, tcp, tcp:PORT, grpc, grpc:PORT, grpc:SERVICE or exec:COMMAND`,
      );
  }
}
