/** `sluice` as a process: the only file of this package that looks at arguments, environment and terminal. */
import { relative, resolve } from 'node:path';
import { commands } from './commands/list.ts';
import type { CommandContext, Output, Signals } from './context.ts';
import { dispatch } from './dispatch.ts';
import { createPalette, wantsColour } from './output/palette.ts';
import { isCompiled } from './process/self-command.ts';

const stopSignals: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];
/** Settings that would send our own requests to this machine's ports through somebody's proxy. */
const proxySettings = ['HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'https_proxy', 'ALL_PROXY', 'all_proxy'];

/** Runs one command line in this process; resolves with the exit status. */
export async function main(words: readonly string[]): Promise<number> {
  const env: Readonly<Record<string, string | undefined>> = { ...process.env };
  for (const name of proxySettings) delete process.env[name];
  return dispatch(words, commands, {
    out: createOutput(env),
    env,
    cwd: workingFolder(env),
    readStdin: () => Bun.stdin.text(),
    signals,
    invokedAs: invocation(env),
  });
}

function createOutput(env: CommandContext['env']): Output {
  // A reader that left (`sluice get | head`) is no error: there is nobody to tell.
  const onClosed = (): void => {};
  process.stdout.on('error', onClosed);
  process.stderr.on('error', onClosed);
  return {
    write: (text) => void process.stdout.write(text),
    writeError: (text) => void process.stderr.write(text),
    isTerminal: process.stdout.isTTY === true,
    columns: process.stdout.columns ?? 0,
    palette: createPalette(wantsColour(env, process.stdout.isTTY === true)),
  };
}

const signals: Signals = {
  listen(onSignal) {
    for (const signal of stopSignals) process.on(signal, onSignal);
    return {
      stop: () => {
        for (const signal of stopSignals) process.off(signal, onSignal);
      },
    };
  },
  exit: (status) => process.exit(status),
};

/** `npm run sluice` moves to the top of the repository; files are meant from where the user is. */
function workingFolder(env: CommandContext['env']): string {
  const { npm_lifecycle_event: script, INIT_CWD: before } = env;
  return script === 'sluice' && before !== undefined && before !== '' ? before : process.cwd();
}

/** Inside a clone there is no `sluice` on PATH: what is printed must work when pasted. */
function invocation(env: CommandContext['env']): string {
  if (isCompiled) return 'sluice';
  if (env['npm_lifecycle_event'] !== undefined) return 'npm run -s sluice --';
  return `node ${relative(process.cwd(), resolve(import.meta.dir, '../../../scripts/sluice.mjs'))}`;
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2));
