/** Runs Bun with the given arguments, after making sure that generated files are current. */
import { spawn } from 'node:child_process';
import { pathToFileURL } from 'node:url';
import { findBun } from './find-bun.mjs';
import { ensureGenerated } from './generate.mjs';

const forwarded = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGQUIT'];

/** Runs Bun in the foreground and exits as it exits: same code, or the same signal. */
export async function runBun(args, { generate = true } = {}) {
  let bun;
  try {
    bun = findBun();
    if (generate) await ensureGenerated();
  } catch (error) {
    console.error(`sluice: ${error.message}`);
    process.exit(1);
  }
  const child = spawn(bun, args, { stdio: 'inherit' });
  // The terminal sends Ctrl-C to the whole group; a signal sent to us alone is passed on.
  for (const signal of forwarded) {
    process.on(signal, () => {
      if (!process.stdin.isTTY || signal !== 'SIGINT') child.kill(signal);
    });
  }
  child.on('error', (error) => {
    console.error(`sluice: cannot start ${bun}: ${error.message}`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => {
    if (signal) {
      for (const name of forwarded) process.removeAllListeners(name);
      process.kill(process.pid, signal);
    } else {
      process.exit(code ?? 1);
    }
  });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await runBun(process.argv.slice(2));
