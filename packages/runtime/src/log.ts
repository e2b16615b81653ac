/**
 * Levelled log by component. A call below its component's level costs one comparison; levels change at run
 * time, for one component or all, without anybody holding a logger noticing.
 *
 * Logging never blocks and never throws: the line goes to an injected function, which is expected to buffer
 * or drop; what that function throws is counted in `writeFailures`, since the log has nowhere else to tell.
 */
import { systemClock } from './clock.ts';
import type { Clock } from './clock.ts';
import { formatLogRecord } from './log-format.ts';
import type { LogFields, LogFormat } from './log-format.ts';

/** Levels from most to least talkative. */
export const logLevels = ['trace', 'debug', 'info', 'warning', 'error', 'critical', 'off'] as const;
export type LogLevel = (typeof logLevels)[number];

export interface LoggerOptions {
  readonly component: string;
  readonly level?: LogLevel;
  readonly format?: LogFormat;
  /** Receives one whole line, its line break included; must return at once. */
  readonly write: (line: string) => void;
  readonly clock?: Clock;
}

/** A level as people write it ("warn", "WARNING", "err"); undefined if it is none. */
export function parseLogLevel(text: string): LogLevel | undefined {
  const lower = text.toLowerCase();
  const name = { warn: 'warning', err: 'error', fatal: 'critical', none: 'off' }[lower] ?? lower;
  return logLevels.find((level) => level === name);
}

/** Makes the first logger of a process; all others come from it by `child`. */
export function createLogger(options: LoggerOptions): Logger {
  return new LogHub(options).logger(options.component);
}

/** The loggers of one process share one hub: its sink, its format and the level of each component. */
class LogHub {
  readonly #write: (line: string) => void;
  readonly #format: LogFormat;
  readonly #clock: Clock;
  readonly #loggers = new Map<string, Logger>();
  readonly #levels = new Map<string, LogLevel>();
  #defaultLevel: LogLevel;
  writeFailures = 0;

  constructor(options: LoggerOptions) {
    this.#write = options.write;
    this.#format = options.format ?? 'text';
    this.#clock = options.clock ?? systemClock;
    this.#defaultLevel = options.level ?? 'info';
  }

  logger(component: string): Logger {
    let logger = this.#loggers.get(component);
    if (logger === undefined) {
      logger = new Logger(this, component);
      this.#loggers.set(component, logger);
    }
    return logger;
  }

  level(component: string): LogLevel {
    return this.#levels.get(component) ?? this.#defaultLevel;
  }

  components(): readonly string[] {
    return [...this.#loggers.keys()].sort();
  }

  /** Without a component: the level of all, which forgets what was set one by one. */
  setLevel(level: LogLevel, component: string | undefined): void {
    if (component === undefined) {
      this.#defaultLevel = level;
      this.#levels.clear();
    } else {
      this.#levels.set(component, level);
    }
    for (const [name, logger] of this.#loggers) logger.threshold = rank(this.level(name));
  }

  emit(level: LogLevel, component: string, message: string, fields: LogFields | undefined): void {
    const record = { wallMs: this.#clock.wallMs(), level, component, message, fields };
    try {
      this.#write(formatLogRecord(record, this.#format));
    } catch {
      this.writeFailures++;
    }
  }
}

export class Logger {
  readonly component: string;
  /** @internal Rank of the lowest level written. Only the hub sets it. */
  threshold: number;
  readonly #hub: LogHub;

  /** @internal Use `createLogger` and `child`. */
  constructor(hub: LogHub, component: string) {
    this.#hub = hub;
    this.component = component;
    this.threshold = rank(hub.level(component));
  }

  /** The logger of another component, same sink; one object per component. */
  child(component: string): Logger {
    return this.#hub.logger(component);
  }

  get level(): LogLevel {
    return this.#hub.level(this.component);
  }

  /** Changes one component's level, or that of all components when none is named. */
  setLevel(level: LogLevel, component?: string): void {
    this.#hub.setLevel(level, component);
  }

  /** Every component that has a logger, with its level. */
  levels(): Readonly<Record<string, LogLevel>> {
    return Object.fromEntries(this.#hub.components().map((name) => [name, this.#hub.level(name)]));
  }

  /** Lines that the sink refused by throwing, over all components. */
  get writeFailures(): number {
    return this.#hub.writeFailures;
  }

  isEnabled(level: LogLevel): boolean {
    return level !== 'off' && rank(level) >= this.threshold;
  }

  trace(message: string, fields?: LogFields): void {
    if (this.threshold <= 0) this.#hub.emit('trace', this.component, message, fields);
  }

  debug(message: string, fields?: LogFields): void {
    if (this.threshold <= 1) this.#hub.emit('debug', this.component, message, fields);
  }

  info(message: string, fields?: LogFields): void {
    if (this.threshold <= 2) this.#hub.emit('info', this.component, message, fields);
  }

  warning(message: string, fields?: LogFields): void {
    if (this.threshold <= 3) this.#hub.emit('warning', this.component, message, fields);
  }

  error(message: string, fields?: LogFields): void {
    if (this.threshold <= 4) this.#hub.emit('error', this.component, message, fields);
  }

  critical(message: string, fields?: LogFields): void {
    if (this.threshold <= 5) this.#hub.emit('critical', this.component, message, fields);
  }
}

function rank(level: LogLevel): number {
  return logLevels.indexOf(level);
}
