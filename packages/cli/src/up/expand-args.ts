/**
 * Variables in a workload's command: `--port $PORT`, `${PORT}`, or `$(PORT)` as Kubernetes writes it. Only those that
 * the environment has are replaced, each once; a shell is left to do it itself, with its own quoting.
 */
import { basename } from 'node:path';

const shells: ReadonlySet<string> = new Set(['sh', 'bash', 'dash', 'zsh', 'ksh', 'fish']);
const variable = /\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)\}|\(([A-Za-z_]\w*)\))/g;

export function expandArgs(
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
): readonly string[] {
  const [program = '', ...rest] = argv;
  if (shells.has(basename(program))) return argv;
  return [
    program,
    ...rest.map((argument) =>
      argument.replaceAll(
        variable,
        (whole, plain, braced, called) => env[String(plain ?? braced ?? called)] ?? whole,
      ),
    ),
  ];
}
