/**
 * Real processes for end-to-end tests: started, watched by their output, and ended by their pid. Lines are
 * collected whole; `waitForLine` also finds a line that came before it was called.
 */
import type { Subprocess } from 'bun';
import { onCleanUp } from './cleanup.ts';

export interface SpawnOptions {
  readonly cwd?: string;
  /** Added to this process's environment; undefined removes a variable. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** For error messages; default: the script's or command's name. */
  readonly name?: string;
  /** How long `stop` waits after SIGTERM before SIGKILL. Default 5 s. */
  readonly graceMs?: number;
}

export interface LineWaitOptions {
  /** Default 10 s. */
  readonly timeoutMs?: number;
}

/** Characters of output that an error message shows. */
const shownOutput = 4000;

/** Runs a TypeScript file with the Bun that runs this test. */
export function spawnBun(
  script: string,
  args: readonly string[] = [],
  options: SpawnOptions = {},
): TestProcess {
  return spawnCommand([process.execPath, script, ...args], { name: script, ...options });
}

/** Runs any command; rejects nothing here, a command that does not exist throws at once. */
export function spawnCommand(command: readonly string[], options: SpawnOptions = {}): TestProcess {
  return new TestProcess(command, options);
}

export class TestProcess {
  readonly pid: number;
  /** The exit code, or 128 + the signal's number as a shell counts it. */
  readonly exited: Promise<number>;
  readonly #name: string;
  readonly #graceMs: number;
  readonly #child: Subprocess<'ignore', 'pipe', 'pipe'>;
  readonly #lines: string[] = [];
  readonly #watchers = new Set<() => void>();
  readonly #outputRead: Promise<unknown>;

  constructor(command: readonly string[], options: SpawnOptions) {
    this.#name = options.name ?? command[0] ?? '';
    this.#graceMs = options.graceMs ?? 5000;
    this.#child = Bun.spawn([...command], {
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      env: { ...process.env, ...options.env },
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
    });
    this.pid = this.#child.pid;
    this.#outputRead = Promise.all([this.#collect(this.#child.stdout), this.#collect(this.#child.stderr)]);
    const forget = onCleanUp(async () => void (await this.stop()));
    this.exited = this.#child.exited.then((code) => {
      forget();
      this.#notify();
      return code;
    });
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Lines of standard output and error so far, in order of arrival. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  /** The same as one text. */
  get output(): string {
    return this.#lines.join('\n');
  }

  /** The first line that contains, or matches, `pattern`; throws with the output if none comes. */
  async waitForLine(pattern: string | RegExp, options: LineWaitOptions = {}): Promise<string> {
    const { timeoutMs = 10_000 } = options;
    const deadlineMs = performance.now() + timeoutMs;
    let hasEnded = false;
    // Output may still be in the pipe when the process is gone.
    void this.exited
      .then(() => this.#outputRead)
      .then(() => (hasEnded = true))
      .then(() => this.#notify());
    for (;;) {
      const found = this.#lines.find((line) => matches(line, pattern));
      if (found !== undefined) return found;
      const restMs = deadlineMs - performance.now();
      if (hasEnded || restMs <= 0) {
        const why = hasEnded ? `it exited with ${await this.exited}` : `${timeoutMs} ms passed`;
        throw new Error(`${this.#name} did not print ${pattern}: ${why}\n${this.output.slice(-shownOutput)}`);
      }
      await this.#change(restMs);
    }
  }

  /** Sends a signal to this process only. */
  kill(signal: NodeJS.Signals = 'SIGTERM'): void {
    if (this.isRunning) this.#child.kill(signal);
  }

  /** SIGTERM, then SIGKILL after the grace; resolves with the exit code once it is gone. */
  async stop(): Promise<number> {
    this.kill('SIGTERM');
    const timer = setTimeout(() => this.kill('SIGKILL'), this.#graceMs);
    const code = await this.exited;
    clearTimeout(timer);
    await this.#outputRead;
    return code;
  }

  async #collect(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    let partial = '';
    for await (const chunk of stream) {
      const lines = (partial + decoder.decode(chunk, { stream: true })).split('\n');
      partial = lines.pop() ?? '';
      this.#lines.push(...lines);
      this.#notify();
    }
    if (partial !== '') this.#lines.push(partial);
    this.#notify();
  }

  #notify(): void {
    for (const watcher of this.#watchers) watcher();
  }

  #change(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const finish = (): void => {
        clearTimeout(timer);
        this.#watchers.delete(finish);
        resolve();
      };
      const timer = setTimeout(finish, timeoutMs);
      this.#watchers.add(finish);
    });
  }
}

function matches(line: string, pattern: string | RegExp): boolean {
  return typeof pattern === 'string' ? line.includes(pattern) : line.search(pattern) >= 0;
}
