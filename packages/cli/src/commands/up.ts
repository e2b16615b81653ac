/** `sluice up [DIR]`: a whole local mesh in the foreground, until Ctrl-C. */
import { join, resolve } from 'node:path';
import { StopRequests } from '@sluice/runtime';
import type { CommandContext } from '../context.ts';
import { exitStatus } from '../errors.ts';
import { PortReservations, type PortSpan } from '../mesh/port-reservations.ts';
import { chooseStateDir, makePrivateDir } from '../mesh/state-dir.ts';
import { endLeftovers } from '../process/ledger.ts';
import { chooseCommand, type ChosenCommand } from '../up/choose-command.ts';
import { chooseControlAddresses } from '../up/control-addresses.ts';
import { checkDescriptors, freeMebibytes } from '../up/environment-checks.ts';
import { lockFolder } from '../up/folder-lock.ts';
import { canBind } from '../up/free-port.ts';
import { prepareLogs } from '../up/log-files.ts';
import { readMeshFile, type MeshFile } from '../up/mesh-file.ts';
import { MeshRunner } from '../up/mesh-runner.ts';
import { namesOf, workloadKey } from '../up/plan-instances.ts';
import { defaultPortRange } from '../up/port-book.ts';
import { createReporter, type Reporter } from '../up/reporter.ts';
import { sayWhatNext } from '../up/what-next.ts';

export async function run(context: CommandContext): Promise<number> {
  const { args, env, out } = context;
  const file = readMeshFile(resolve(context.cwd, args.positional[0] ?? '.'));
  const commands = chooseCommands(file, context);
  const { path: stateDir, fallbackReason } = chooseStateDir(
    file.dir,
    absolute(context, args.text('state-dir')),
  );
  makePrivateDir(stateDir);
  const lock = lockFolder(stateDir);
  try {
    const reporter = createReporter(out, file.config.workloads.flatMap(namesOf));
    if (fallbackReason !== undefined)
      reporter.warn(`${fallbackReason}: the state of the mesh is kept in ${stateDir}`);
    for (const warning of file.warnings) reporter.warn(warning);
    const descriptors = checkDescriptors();
    if (descriptors.hint !== undefined) reporter.warn(`few open files are allowed: ${descriptors.hint}`);
    if (freeMebibytes(stateDir) < 1)
      reporter.warn(
        `the disk of ${stateDir} is full: free some space, or name another place with --state-dir`,
      );
    const leftovers = await endLeftovers(stateDir);
    if (leftovers.length > 0)
      reporter.say(`ended what an earlier run had left behind: ${leftovers.join(', ')}`);
    prepareLogs(stateDir);
    return await runMesh(context, { file, stateDir, commands, reporter, env });
  } finally {
    lock.release();
  }
}

interface MeshToRun {
  readonly file: MeshFile;
  readonly stateDir: string;
  readonly commands: ReadonlyMap<string, ChosenCommand>;
  readonly reporter: Reporter;
  readonly env: CommandContext['env'];
}

async function runMesh(
  context: CommandContext,
  { file, stateDir, commands, reporter, env }: MeshToRun,
): Promise<number> {
  const range = file.config.ports.sidecars ?? defaultPortRange;
  const reservations = new PortReservations(stateDir, env);
  const { addresses, notices } = await reservations.plan((isTaken) => {
    const result = chooseControlAddresses({
      ports: file.config.ports,
      explicit: file.explicitPorts,
      canBind: (port) => !isTaken(port) && canBind(port),
      range,
      seed: stateDir,
    });
    return { result, spans: Object.values(result.addresses).map(portSpan) };
  });
  for (const notice of notices) reporter.warn(notice);
  reporter.say(`starting ${file.name}: control plane and ${count(file)}; logs in ${join(stateDir, 'logs')}`);
  const mesh = new MeshRunner({
    file,
    stateDir,
    addresses,
    commands,
    range,
    reservations,
    env,
    reporter,
    allowsBypass: context.args.has('allow-bypass'),
  });
  const stopped = stopOnSignal(context, mesh, reporter);
  try {
    const started = mesh.start();
    started.catch(() => {}); // Awaited below; until then a signal may win.
    await Promise.race([started, stopped.requested]);
    if (stopped.isRequested()) return exitStatus.done;
    await Promise.race([
      sayWhatNext({
        mesh,
        file,
        reporter,
        stateDir,
        invokedAs: context.invokedAs,
        cwd: context.cwd,
        palette: context.out.palette,
      }),
      stopped.requested,
    ]);
    await stopped.requested;
    return exitStatus.done;
  } catch (error) {
    reporter.warn('this does not work, stopping:');
    throw error;
  } finally {
    await mesh.stop();
    reservations.release();
    stopped.end();
    reporter.say('stopped');
  }
}

/** The first signal stops in order, the second ends everything at once. */
function stopOnSignal({ signals }: CommandContext, mesh: MeshRunner, reporter: Reporter) {
  const { promise: requested, resolve } = Promise.withResolvers<void>();
  const requests = new StopRequests();
  let isRequested = false;
  const listening = signals.listen(() => {
    const request = requests.hear();
    if (request === 'first') {
      isRequested = true;
      reporter.say('stopping (Ctrl-C again ends everything at once)');
      resolve();
    } else if (request === 'again') {
      mesh.kill();
      signals.exit(exitStatus.interrupted);
    }
  });
  return { requested, isRequested: () => isRequested, end: () => listening.stop() };
}

function portSpan(address: string): PortSpan {
  const port = Number(address.slice(address.lastIndexOf(':') + 1));
  return [port, port];
}

function chooseCommands(file: MeshFile, { args, env }: CommandContext): ReadonlyMap<string, ChosenCommand> {
  const which = (program: string, cwd: string): string | undefined =>
    Bun.which(program, { PATH: env['PATH'] ?? '', cwd }) ?? undefined;
  const usesPlainCommand = args.has('plain');
  return new Map(
    file.config.workloads.map((workload) => [
      workloadKey(workload),
      chooseCommand(workload, { dir: file.dir, which, usesPlainCommand }),
    ]),
  );
}

function count(file: MeshFile): string {
  const instances = file.config.workloads.reduce((sum, { replicas }) => sum + replicas, 0);
  return `${instances} ${instances === 1 ? 'instance' : 'instances'}, each behind its sidecar`;
}

function absolute({ cwd }: CommandContext, path: string | undefined): string | undefined {
  return path === undefined ? undefined : resolve(cwd, path);
}
