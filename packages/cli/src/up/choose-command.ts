/** Which of a workload's commands runs on this machine: the first whose programs are all on PATH. */
import { resolve } from 'node:path';
import type { SluiceWorkload, WorkloadCommand } from '@sluice/api';
import { cliError } from '../errors.ts';
import { isCompiled } from '../process/self-command.ts';

export interface ChosenCommand {
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** Programs it was chosen for, for people: `python3`. */
  readonly program: string;
  /** True when the file offered others too. */
  readonly wasChosen: boolean;
}

export interface ChooseOptions {
  readonly dir: string;
  /** Absolute path of a program, undefined when there is none. */
  readonly which: (program: string, cwd: string) => string | undefined;
  /** Takes the plain `command` wherever there is one. */
  readonly usesPlainCommand: boolean;
}

/** Throws `program-missing`, naming what would do. */
export function chooseCommand(workload: SluiceWorkload, options: ChooseOptions): ChosenCommand {
  const { commands } = workload;
  const ways = options.usesPlainCommand ? commands.slice(-1) : commands;
  for (const way of ways) {
    const cwd = resolve(options.dir, way.cwd ?? '.');
    const program = resolveProgram(way.argv[0] ?? '', cwd, options);
    const isPossible = way.requires.every((name) => resolveProgram(name, cwd, options) !== undefined);
    if (program === undefined || !isPossible) continue;
    const name = way.requires[0] ?? way.argv[0] ?? '';
    return {
      argv: [program, ...way.argv.slice(1)],
      cwd,
      env: name === bunProgram && isCompiled ? { ...way.env, BUN_BE_BUN: '1' } : way.env,
      program: name,
      wasChosen: commands.length > 1,
    };
  }
  throw cliError(
    'program-missing',
    `${workload.name} cannot be run here: ${describeMissing(ways)}; install it, or name another command`,
  );
}

/** What runs us runs TypeScript too: a machine with Node only has no other, and PATH may hold npm's placeholder. */
const bunProgram = 'bun';

function resolveProgram(name: string, cwd: string, { which }: ChooseOptions): string | undefined {
  return name === bunProgram ? process.execPath : which(name, cwd);
}

function describeMissing(ways: readonly WorkloadCommand[]): string {
  const names = ways.map(({ argv, requires }) => [...new Set([...requires, argv[0] ?? ''])].join(' and '));
  return `PATH has no ${names.join(', and no ')}`;
}
