/** `sluice completion SHELL`: a script that completes commands, flags, their values and kinds. */
import { honouredKinds } from '@sluice/api';
import type { CommandSpec } from '../args/command-spec.ts';
import type { CommandModule } from '../context.ts';
import { cliError, exitStatus } from '../errors.ts';

export const shells = ['bash', 'zsh', 'fish'] as const;

/** The command, for the list it stands in itself. */
export function completionOf(commands: readonly CommandSpec[]): CommandModule {
  return {
    run({ args, out }) {
      const shell = shells.find((name) => name === args.positional[0]);
      if (shell === undefined) throw cliError('usage', `say for which shell: completion ${shells.join('|')}`);
      out.write(renderCompletion(shell, commands));
      return Promise.resolve(exitStatus.done);
    },
  };
}

export function renderCompletion(shell: (typeof shells)[number], specs: readonly CommandSpec[]): string {
  return shell === 'fish' ? fish(specs) : shell === 'bash' ? bash(specs) : zsh(specs);
}

const kindWords = honouredKinds.flatMap(({ plural, shortNames }) => [plural, ...shortNames]);

/** What the first argument of a command may be. */
function wordsOf(spec: CommandSpec): readonly string[] {
  return spec.words ?? (spec.usage.startsWith('KIND') ? [...new Set(kindWords)] : []);
}

function flagsOf({ flags }: CommandSpec): readonly string[] {
  return flags.flatMap(({ name, short }) => [`--${name}`, ...(short === undefined ? [] : [`-${short}`])]);
}

function bash(specs: readonly CommandSpec[]): string {
  const cases = specs.map(
    (spec) => `    ${spec.name}) flags="${flagsOf(spec).join(' ')}"; words="${wordsOf(spec).join(' ')}" ;;`,
  );
  const values = choiceFlags(specs).map(
    ([flag, choices]) =>
      `    ${flag}) COMPREPLY=($(compgen -W "${choices.join(' ')}" -- "$current")); return ;;`,
  );
  return `# bash completion of sluice: source <(sluice completion bash)
_sluice() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" flags="" words=""
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${specs.map(({ name }) => name).join(' ')}" -- "$current"))
    return
  fi
  case "$previous" in
${values.join('\n')}
  esac
  case "\${COMP_WORDS[1]}" in
${cases.join('\n')}
  esac
  if [[ "$current" == -* ]]; then COMPREPLY=($(compgen -W "$flags" -- "$current"))
  elif [ -n "$words" ]; then COMPREPLY=($(compgen -W "$words" -- "$current"))
  else COMPREPLY=($(compgen -f -- "$current")); fi
}
complete -o filenames -F _sluice sluice
`;
}

function zsh(specs: readonly CommandSpec[]): string {
  const names = specs.map(({ name, summary }) => `    '${name}:${quoteZsh(summary)}'`);
  const cases = specs.map((spec) => {
    const flags = spec.flags.map(
      ({ name, about, type }) => `'--${name}[${quoteZsh(about)}]${type === 'switch' ? '' : ':value:_files'}'`,
    );
    const words = wordsOf(spec);
    return `    ${spec.name}) _arguments ${[...flags, words.length > 0 ? `'*:word:(${words.join(' ')})'` : "'*:file:_files'"].join(' ')} ;;`;
  });
  return `#compdef sluice
# zsh completion of sluice: sluice completion zsh > "\${fpath[1]}/_sluice"
_sluice() {
  local -a names=(
${names.join('\n')}
  )
  if (( CURRENT == 2 )); then _describe command names; return; fi
  local name="\${words[2]}"
  shift words; (( CURRENT-- ))
  case "$name" in
${cases.join('\n')}
  esac
}
compdef _sluice sluice
`;
}

function fish(specs: readonly CommandSpec[]): string {
  const lines = specs.flatMap((spec) => {
    const within = `-n '__fish_seen_subcommand_from ${spec.name}'`;
    const words = wordsOf(spec);
    return [
      `complete -c sluice -f -n __fish_use_subcommand -a ${spec.name} -d ${quoteFish(spec.summary)}`,
      ...spec.flags.map(({ name, short, type, about, choices }) => {
        const value =
          type === 'switch' ? '' : choices === undefined ? ' -r -F' : ` -x -a '${choices.join(' ')}'`;
        return `complete -c sluice ${within} -l ${name}${short === undefined ? '' : ` -s ${short}`}${value} -d ${quoteFish(about)}`;
      }),
      ...(words.length === 0 ? [] : [`complete -c sluice -f ${within} -a '${words.join(' ')}'`]),
    ];
  });
  return `# fish completion of sluice: sluice completion fish | source\n${lines.join('\n')}\n`;
}

/** Flags with a closed set of values; where commands differ, all of them. */
function choiceFlags(specs: readonly CommandSpec[]): readonly (readonly [string, readonly string[]])[] {
  const found = new Map<string, Set<string>>();
  for (const { name, short, choices } of specs.flatMap(({ flags }) => flags)) {
    if (choices === undefined) continue;
    const key = short === undefined ? `--${name}` : `--${name}|-${short}`;
    found.set(key, new Set([...(found.get(key) ?? []), ...choices]));
  }
  return [...found].map(([key, choices]) => [key, [...choices]] as const);
}

function quoteZsh(text: string): string {
  return text.replaceAll("'", "'\\''").replaceAll(/[[\]:]/g, (found) => `\\${found}`);
}

function quoteFish(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
