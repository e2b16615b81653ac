/** `sluice control …` and `sluice proxy …`: the other program in our place, with our terminal and our signals. */
import { spawn } from 'node:child_process';
import type { CommandContext, CommandModule } from '../context.ts';
import { cliError } from '../errors.ts';
import { proxyCommand } from '../process/proxy-bundle.ts';
import { proxyEnvironment } from '../process/proxy-environment.ts';
import { isCompiled, selfCommand, type Part } from '../process/self-command.ts';

/** Exit statuses of programs ended by a signal, as shells count them. */
const signalNumbers: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGTERM: 15,
};

export function passThrough(part: Part): CommandModule {
  return { run: (context) => runPart(part, context) };
}

async function runPart(part: Part, { args, signals, env, out }: CommandContext): Promise<number> {
  // In the one-file executable these words are dispatched before this command line is asked.
  if (isCompiled)
    throw cliError(
      'process-failed',
      `this executable was built without its ${part}: build it from its own entry file`,
    );
  const [command = '', ...first] =
    part === 'proxy' ? await proxyCommand((text) => out.writeError(`sluice: ${text}\n`)) : selfCommand(part);
  const settings = part === 'proxy' ? proxyEnvironment(env) : {};
  const child = spawn(command, [...first, ...args.rest], { stdio: 'inherit', env: { ...env, ...settings } });
  // The terminal signals the whole group; one meant for us alone is passed on, and twice does no harm to be told once.
  const listening = signals.listen((signal) => {
    if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
  });
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  child.on('error', (error) =>
    reject(cliError('process-failed', `${part} could not be started: ${error.message}`, error)),
  );
  child.on('exit', (code, signal) =>
    resolve(signal === null ? (code ?? 1) : 128 + (signalNumbers[signal] ?? 0)),
  );
  return promise.finally(() => listening.stop());
}
