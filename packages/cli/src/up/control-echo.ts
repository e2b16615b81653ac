/**
 * What the control plane says about files of the mesh, repeated on the terminal: who saves a file looks there, and not
 * into a log. Everything else it says stays in its log.
 */
import { parseLogLevel } from '@sluice/runtime';
import { LogTail } from './log-tail.ts';
import type { Reporter } from './reporter.ts';

const pollMs = 200;
/** Components of the control plane that read files. */
const readers: ReadonlySet<string> = new Set(['folder', 'mesh-config']);

export class ControlEcho {
  readonly #tail: LogTail;
  readonly #reporter: Reporter;
  #isStarting = true;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(log: string, reporter: Reporter) {
    this.#reporter = reporter;
    this.#tail = new LogTail({ name: 'control', path: log }, (_, line) => this.#line(line));
  }

  /** From the beginning of the log: what was wrong at the start is said, what was read is not. */
  start(): void {
    this.#tail.look();
    this.#isStarting = false;
    this.#timer = setInterval(() => this.#tail.look(), pollMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** `time, level, component, message, fields`, separated by tabs. */
  #line(line: string): void {
    const [, level = '', component = '', ...words] = line.split('\t');
    if (!readers.has(component)) return;
    const text = words.join(' ');
    const parsed = parseLogLevel(level);
    if (parsed === 'warning' || parsed === 'error') this.#reporter.warn(text);
    else if (!this.#isStarting) this.#reporter.say(text);
  }
}
