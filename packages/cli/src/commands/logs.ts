/** `sluice logs`: what applications, sidecars and the control plane wrote, once or as it grows. */
import { existsSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { CommandContext } from '../context.ts';
import { cliError, exitStatus } from '../errors.ts';
import { findStateDir } from '../mesh/find-mesh.ts';
import { stateFiles } from '../mesh/state-dir.ts';
import { nameHint } from '../output/name-hint.ts';
import { cleanCell } from '../output/table.ts';
import { LogTail, type LogFile } from '../up/log-tail.ts';

const defaultTail = 200;
const followPollMs = 150;

export async function run(context: CommandContext): Promise<number> {
  const { args, out } = context;
  const files = chooseLogs(
    join(findStateDir(context), stateFiles.logs),
    args.positional[0],
    args.has('proxy'),
  );
  const silent = files.filter(({ path }) => !existsSync(path)).map(({ name }) => name);
  if (silent.length > 0)
    out.writeError(
      `${silent.join(', ')} ${silent.length === 1 ? 'has' : 'have'} written nothing yet${args.has('proxy') ? '' : ' ("logs --proxy" shows the sidecar)'}\n`,
    );
  const tails = files.map(
    (file) => new LogTail(file, (name, line) => writeLine(context, name, line, files.length > 1)),
  );
  const count = readTail(args.text('tail'));
  for (const tail of tails) tail.begin(count);
  if (args.has('follow')) await follow(context, tails);
  return exitStatus.done;
}

/** Logs that a word means: nothing for all applications, `control`, an instance, or a workload with its replicas. */
export function chooseLogs(logs: string, word: string | undefined, ofProxy: boolean): readonly LogFile[] {
  if (word === 'control') return [{ name: 'control', path: join(logs, stateFiles.controlLog) }];
  const folder = join(logs, ofProxy ? 'proxies' : 'apps');
  // An application that says nothing has no log; its sidecar always has one.
  const names = [...new Set(['apps', 'proxies'].flatMap((kind) => logNames(join(logs, kind))))];
  const wanted = word?.split('/').at(-1);
  const chosen = names
    .filter((name) => wanted === undefined || name === wanted || name.replace(/-\d+$/, '') === wanted)
    .sort();
  if (chosen.length > 0) return chosen.map((name) => ({ name, path: join(folder, `${name}.log`) }));
  if (wanted === undefined) throw cliError('file-unusable', `there are no logs in ${folder} yet`);
  throw cliError('usage', `there is no log of "${wanted}": ${nameHint(wanted, [...names, 'control'])}`);
}

function logNames(folder: string): readonly string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((file) => file.endsWith('.log'))
    .map((file) => basename(file, '.log'));
}

async function follow({ signals }: CommandContext, tails: readonly LogTail[]): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const listening = signals.listen(() => resolve());
  const timer = setInterval(() => {
    for (const tail of tails) tail.look();
  }, followPollMs);
  await promise;
  clearInterval(timer);
  listening.stop();
}

function writeLine({ out }: CommandContext, name: string, line: string, isPrefixed: boolean): void {
  const text = out.isTerminal ? cleanCell(line.replaceAll('\t', '  ')) : line;
  out.write(isPrefixed ? `${out.palette.dim(`${name} │`)} ${text}\n` : `${text}\n`);
}

function readTail(text: string | undefined): number {
  if (text === undefined) return defaultTail;
  if (!/^\d+$/.test(text)) throw cliError('usage', `--tail ${text} is not a number of lines`);
  return Number(text);
}
