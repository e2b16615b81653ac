/** The texts of `sluice help` and `sluice COMMAND --help`, in the 80 columns that every terminal has. */
import type { CommandSpec } from './command-spec.ts';
import type { FlagSpec } from './parse.ts';

const columns = 80;
/** Columns of a flag and its value beside which the text still has room. */
const widestHead = 30;

export function renderOverview(commands: readonly CommandSpec[], invokedAs: string): string {
  const width = Math.max(...commands.map(({ name }) => name.length));
  const lines = commands.map(({ name, summary }) => hang(`  ${name.padEnd(width)}  `, summary));
  return `sluice is a service mesh: sidecar proxies, a control plane, this command line.

Usage: ${invokedAs} COMMAND [flags]

${lines.join('\n')}

"${invokedAs} COMMAND --help" says more about one of them.
`;
}

export function renderHelp(spec: CommandSpec, invokedAs: string): string {
  const usage = spec.usage === '' ? '' : ` ${spec.usage}`;
  const flags = spec.flags.length === 0 ? '' : `\nFlags:\n${renderFlags(spec.flags)}`;
  const details =
    spec.details === undefined ? '' : `\n${spec.details.trimEnd().split('\n').map(fill).join('\n')}\n`;
  const names = spec.aliases === undefined ? '' : `\nAlso: ${spec.aliases.join(', ')}\n`;
  return `${fill(spec.summary)}\n\n${hang('Usage: ', `${invokedAs} ${spec.name}${usage}`)}\n${names}${flags}${details}`;
}

function renderFlags(flags: readonly FlagSpec[]): string {
  const heads = flags.map((flag) => {
    const short = flag.short === undefined ? '    ' : `-${flag.short}, `;
    const value = flag.type === 'switch' ? '' : ` ${flag.choices?.join('|') ?? flag.value ?? 'VALUE'}`;
    return `${short}--${flag.name}${value}`;
  });
  const width = Math.max(...heads.map((head) => (head.length > widestHead ? 0 : head.length)));
  return flags
    .map((flag, index) => {
      const head = `  ${heads[index] ?? ''}`;
      const gap = ' '.repeat(width + 4);
      if (head.length > width + 2) return `${head}\n${hang(gap, flag.about)}\n`;
      return `${hang(head.padEnd(width + 4), flag.about)}\n`;
    })
    .join('');
}

function fill(text: string): string {
  return hang('', text);
}

/** The text after its head, further lines below its beginning. */
function hang(head: string, text: string): string {
  const room = columns - head.length;
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > room) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return head + [...lines, line].join(`\n${' '.repeat(head.length)}`);
}
