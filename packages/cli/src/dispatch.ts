/** From words to a command: help, the nearest name for an unknown one, and errors as one line with a status. */
import { nearestName, sluiceVersion } from '@sluice/runtime';
import type { CommandSpec } from './args/command-spec.ts';
import { renderHelp, renderOverview } from './args/help.ts';
import { parseArgs, type FlagSpec, type ParsedArgs } from './args/parse.ts';
import type { CommandContext } from './context.ts';
import { cliError, exitStatus, hasCliCode, isCliError } from './errors.ts';

export type Surroundings = Omit<CommandContext, 'args'>;

const helpFlag: FlagSpec = { name: 'help', short: 'h', type: 'switch', about: 'Say this' };

/** Runs one command line; resolves with the exit status and throws only what is a defect of this program. */
export async function dispatch(
  words: readonly string[],
  commands: readonly CommandSpec[],
  world: Surroundings,
): Promise<number> {
  try {
    return await runWords(words, commands, world);
  } catch (error) {
    if (isSystemError(error)) {
      world.out.writeError(`${world.out.palette.bad('error')}: ${error.message}\n`);
      return exitStatus.failed;
    }
    if (!isCliError(error)) throw error;
    world.out.writeError(`${world.out.palette.bad('error')}: ${error.message}\n`);
    return hasCliCode(error, 'usage') ? exitStatus.usage : exitStatus.failed;
  }
}

/** A file, folder or device that the system refused: its own words say which, and why. */
function isSystemError(error: unknown): error is Error {
  return error instanceof Error && 'syscall' in error && 'code' in error;
}

async function runWords(
  words: readonly string[],
  commands: readonly CommandSpec[],
  world: Surroundings,
): Promise<number> {
  const [name, ...others] = words;
  const { out, invokedAs } = world;
  if (name === undefined || name === '--help' || name === '-h' || (name === 'help' && others.length === 0)) {
    out.write(renderOverview(commands, invokedAs));
    return name === undefined ? exitStatus.usage : exitStatus.done;
  }
  if (name === '--version') {
    out.write(`${sluiceVersion}\n`);
    return exitStatus.done;
  }
  const spec = findCommand(name === 'help' ? (others[0] ?? '') : name, commands);
  const rest = name === 'help' ? ['--help'] : others;
  if (spec.isPassedThrough === true) return (await spec.load()).run({ ...world, args: untouched(rest) });
  const args = parseWords(spec, rest);
  if (args.has('help')) {
    out.write(renderHelp({ ...spec, flags: [...spec.flags, helpFlag] }, invokedAs));
    return exitStatus.done;
  }
  checkWords(spec, args);
  return (await spec.load()).run({ ...world, args });
}

function parseWords(spec: CommandSpec, words: readonly string[]): ParsedArgs {
  try {
    return parseArgs(words, [...spec.flags, helpFlag]);
  } catch (error) {
    // What follows a command to run are that command's flags.
    const [program] = words;
    const isProgram = spec.name === 'run' && program !== undefined && !program.startsWith('-');
    if (isProgram && hasCliCode(error, 'usage') && !words.includes('--')) throw lacksDashes(words);
    throw error;
  }
}

/** A word that would be ignored was meant: silence would look like success. */
function checkWords({ name, maxWords }: CommandSpec, { positional }: ParsedArgs): void {
  if (maxWords === undefined || positional.length <= maxWords) return;
  if (name === 'run') throw lacksDashes(positional);
  const extra = positional.slice(maxWords);
  const hint =
    name === 'apply' || name === 'diff' ? `: files go after -f (${name} -f ${extra[0] ?? ''})` : '';
  throw cliError(
    'usage',
    `${name} takes ${maxWords === 0 ? 'no argument' : `at most ${maxWords}`}, and ${extra.map((word) => `"${word}"`).join(', ')} is one too many${hint}`,
  );
}

function lacksDashes(words: readonly string[]): Error {
  return cliError('usage', `the command goes after two dashes: run -- ${words.join(' ')}`);
}

function findCommand(name: string, commands: readonly CommandSpec[]): CommandSpec {
  const found = commands.find((spec) => spec.name === name || spec.aliases?.includes(name) === true);
  if (found !== undefined) return found;
  const elsewhere = wordsOfOthers[name];
  if (elsewhere !== undefined) throw cliError('usage', `there is no command "${name}": ${elsewhere}`);
  const nearest = nearestName(
    name,
    commands.map((spec) => spec.name),
  );
  const hint = nearest === undefined ? '"sluice help" lists what there is' : `did you mean ${nearest}?`;
  throw cliError('usage', `there is no command "${name}": ${hint}`);
}

const changeAndApply =
  'change the file and "sluice apply -f" it (a watched folder only needs the file saved)';
const localProcesses =
  'workloads are processes of this machine: "sluice url" says where, "sluice logs" what they say';
/** What kubectl and istioctl call things that are done otherwise here. */
const wordsOfOthers: Readonly<Record<string, string>> = {
  create: '"sluice apply -f" creates and changes',
  replace: '"sluice apply -f" creates and changes',
  edit: changeAndApply,
  patch: changeAndApply,
  label: changeAndApply,
  annotate: changeAndApply,
  exec: localProcesses,
  'port-forward': localProcesses,
  rollout: localProcesses,
  'api-resources': '"sluice get --help" names the kinds, docs/config.md every field of each',
  install: 'there is nothing to install: "sluice up" runs a mesh here',
  'kube-inject': 'sidecars are started by "sluice up" and "sluice run"',
};

function untouched(words: readonly string[]): ParsedArgs {
  return { positional: [], rest: words, has: () => false, text: () => undefined, list: () => [] };
}
