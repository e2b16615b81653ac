/** The texts of `sluice help` and `sluice COMMAND --help`. */
import type { CommandSpec } from './command-spec.ts';
import type { FlagSpec } from './parse.ts';

export function renderOverview(commands: readonly CommandSpec[], invokedAs: string): string {
  const width = Math.max(...commands.map(({ name }) => name.length));
  const lines = commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`);
  return `sluice is a service mesh: sidecar proxies, a control plane, and this command line.

Usage: ${invokedAs} COMMAND [flags]

${lines.join('\n')}

"${invokedAs} COMMAND --help" says more about one of them.
`;
}

export function renderHelp(spec: CommandSpec, invokedAs: string): string {
  const usage = spec.usage === '' ? '' : ` ${spec.usage}`;
  const flags = spec.flags.length === 0 ? '' : `\nFlags:\n${renderFlags(spec.flags)}`;
  const details = spec.details === undefined ? '' : `\n${spec.details.trimEnd()}\n`;
  return `${spec.summary}\n\nUsage: ${invokedAs} ${spec.name}${usage}\n${flags}${details}`;
}

function renderFlags(flags: readonly FlagSpec[]): string {
  const heads = flags.map((flag) => {
    const short = flag.short === undefined ? '    ' : `-${flag.short}, `;
    const value = flag.type === 'switch' ? '' : ` ${flag.choices?.join('|') ?? flag.value ?? 'VALUE'}`;
    return `${short}--${flag.name}${value}`;
  });
  const width = Math.min(34, Math.max(...heads.map((head) => head.length)));
  return flags
    .map((flag, index) => {
      const head = heads[index] ?? '';
      const gap = head.length > width ? `\n${' '.repeat(width + 4)}` : ' '.repeat(width - head.length + 2);
      return `  ${head}${gap}${flag.about}\n`;
    })
    .join('');
}
