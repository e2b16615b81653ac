/** `sluice proxy-config`: what a proxy itself has, from its admin port, in istioctl's columns. */
import type { CommandContext } from '../context.ts';
import { cliError, exitStatus } from '../errors.ts';
import { clusterRows, endpointRows, listenerRows, routeRows, type ConfigRows } from '../output/proxy-rows.ts';
import { secretRows } from '../output/secret-rows.ts';
import { renderAs } from '../output/structured.ts';
import { renderTable } from '../output/table.ts';
import { nearestName } from '@sluice/runtime';
import { connect } from './connect.ts';
import { findInstance } from './find-instance.ts';

export const proxyConfigParts = ['clusters', 'listeners', 'routes', 'endpoints', 'secrets'] as const;
type Part = (typeof proxyConfigParts)[number];

const adminTimeoutMs = 10_000;

export async function run(context: CommandContext): Promise<number> {
  const { args, out } = context;
  const [word = '', target] = args.positional;
  const part = readPart(word);
  if (target === undefined)
    throw cliError('usage', `say whose: proxy-config ${part} WORKLOAD, or WORKLOAD/INSTANCE`);
  const { client } = connect(context);
  const { registration } = await findInstance(client, target, args.text('namespace'));
  const rows = await readRows(part, registration.adminPort);
  const selected = rows.rows.filter((row) => isSelected(row, args));
  const format = args.text('output');
  if (format === 'json' || format === 'yaml')
    out.write(
      renderAs(
        format,
        selected.map(({ source }) => source),
      ),
    );
  else
    out.write(
      renderTable(
        rows.head,
        selected.map(({ cells }) => cells),
        out.columns,
      ),
    );
  return exitStatus.done;
}

function readPart(word: string): Part {
  const names: readonly string[] = proxyConfigParts;
  // istioctl's users write the singular, and short forms.
  const part = proxyConfigParts.find(
    (name) =>
      name === word ||
      name.slice(0, -1) === word ||
      name[0] === word ||
      (word === 'ep' && name === 'endpoints'),
  );
  if (part !== undefined) return part;
  const nearest = nearestName(word, names);
  throw cliError(
    'usage',
    `proxy-config shows ${names.join(', ')}, not "${word}"${nearest === undefined ? '' : `: did you mean ${nearest}?`}`,
  );
}

async function readRows(part: Part, adminPort: number): Promise<ConfigRows> {
  if (part === 'endpoints') return endpointRows(await admin(adminPort, '/clusters?format=json'));
  const dump = await admin(adminPort, '/config_dump');
  switch (part) {
    case 'clusters':
      return clusterRows(dump);
    case 'listeners':
      return listenerRows(dump);
    case 'routes':
      return routeRows(dump);
    case 'secrets':
      return secretRows(dump, Date.now());
  }
}

/** A page of a proxy's admin as JSON. Throws `control-unreachable` when it does not answer. */
export async function admin(port: number, path: string): Promise<unknown> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      signal: AbortSignal.timeout(adminTimeoutMs),
    });
    return await response.json();
  } catch (cause) {
    throw cliError(
      'control-unreachable',
      `the proxy's admin at 127.0.0.1:${port} does not answer: is the sidecar running? ("sluice status" shows it)`,
      cause,
    );
  }
}

function isSelected({ cells, source }: ConfigRows['rows'][number], args: CommandContext['args']): boolean {
  const name = args.text('name');
  const fqdn = args.text('fqdn');
  const port = args.text('port');
  if (fqdn !== undefined && !cells.some((cell) => cell.includes(fqdn))) return false;
  if (
    port !== undefined &&
    !cells.some((cell) => cell === port || cell.endsWith(`:${port}`) || cell.includes(`|${port}|`))
  )
    return false;
  return name === undefined || cells[0] === name || (source as { name?: string }).name === name;
}
