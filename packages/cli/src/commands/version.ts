/** `sluice version`: of this program, and of the control plane and proxies that run. */
import { sluiceVersion } from '@sluice/runtime';
import type { CommandContext } from '../context.ts';
import { exitStatus, isCliError } from '../errors.ts';
import { viewPaths, type ProxyView, type SummaryView } from '../mesh/views.ts';
import { renderAs } from '../output/structured.ts';
import { connect } from './connect.ts';

interface Versions {
  readonly client: { readonly version: string; readonly bun: string; readonly platform: string };
  readonly control?: { readonly version: string };
  readonly proxies?: Readonly<Record<string, number>>;
}

export async function run(context: CommandContext): Promise<number> {
  const { args, out } = context;
  const client = {
    version: sluiceVersion,
    bun: Bun.version,
    platform: `${process.platform}/${process.arch}`,
  };
  const versions: Versions = args.has('client') ? { client } : { client, ...(await readRunning(context)) };
  const format = args.text('output');
  if (format === 'json' || format === 'yaml') {
    out.write(renderAs(format, versions));
    return exitStatus.done;
  }
  out.write(`client   ${client.version} (bun ${client.bun}, ${client.platform})\n`);
  if (versions.control !== undefined) out.write(`control  ${versions.control.version}\n`);
  for (const [version, count] of Object.entries(versions.proxies ?? {}))
    out.write(`proxies  ${version} (${count})\n`);
  return exitStatus.done;
}

/** Nothing when no mesh runs: the version of the client is still an answer. */
async function readRunning(context: CommandContext): Promise<Omit<Versions, 'client'>> {
  try {
    const { client } = connect(context);
    const [summary, { proxies }] = await Promise.all([
      client.get<SummaryView>(viewPaths.summary),
      client.get<{ proxies: readonly ProxyView[] }>(viewPaths.proxies),
    ]);
    const counts = new Map<string, number>();
    for (const { version } of proxies) counts.set(version, (counts.get(version) ?? 0) + 1);
    return { control: { version: summary.version }, proxies: Object.fromEntries(counts) };
  } catch (error) {
    if (isCliError(error)) return {};
    throw error;
  }
}
