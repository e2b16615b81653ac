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
  const args = parseArgs(rest, [...spec.flags, helpFlag]);
  if (args.has('help')) {
    out.write(renderHelp({ ...spec, flags: [...spec.flags, helpFlag] }, invokedAs));
    return exitStatus.done;
  }
  return (await spec.load()).run({ ...world, args });
}

function findCommand(name: string, commands: readonly CommandSpec[]): CommandSpec {
  const found = commands.find((spec) => spec.name === name);
  if (found !== undefined) return found;
  const nearest = nearestName(
    name,
    commands.map((spec) => spec.name),
  );
  const hint = nearest === undefined ? '"sluice help" lists what there is' : `did you mean ${nearest}?`;
  throw cliError('usage', `there is no command "${name}": ${hint}`);
}

function untouched(words: readonly string[]): ParsedArgs {
  return { positional: [], rest: words, has: () => false, text: () => undefined, list: () => [] };
}
