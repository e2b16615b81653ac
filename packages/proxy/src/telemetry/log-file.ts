/**
 * Access log destinations: a file that is rotated by size and reopened on request, or an inherited
 * stream (standard output and error).
 *
 * Writes go through the runtime's thread pool (`fs.write` with a callback), so that neither a pipe whose
 * reader sleeps nor a slow disk blocks the loop (a synchronous write to a full pipe would). Opening and
 * renaming are synchronous: they happen once per rotation, on the main thread, which carries no traffic.
 */
import { closeSync, constants, fstatSync, openSync, renameSync, rmSync, write } from 'node:fs';
import type { TimerWheel } from '@sluice/runtime';
import type { LogDestination } from './log-queue.ts';

export interface RotationOptions {
  /** A file that would grow beyond this is rotated first; 0 = never. */
  readonly maxBytes: number;
  /** Old files kept as `path.1` (newest) to `path.N`; 0 = the old content is deleted. */
  readonly keep: number;
}

/** 100 MB and five old files: bounded without anybody configuring it. */
export const DEFAULT_ROTATION: RotationOptions = { maxBytes: 100 * 1024 * 1024, keep: 5 };

/** Owner and group may read; the log holds addresses and paths of users. */
const FILE_MODE = 0o640;

/** Non-blocking: opening a named pipe that nobody reads fails (ENXIO) instead of stopping the process. */
const FILE_FLAGS = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK;

const STREAMS: ReadonlyMap<string, number> = new Map([
  ['/dev/stdout', 1],
  ['/dev/stderr', 2],
]);

/** `/dev/stdout` and `/dev/stderr` are the process's own streams; any other path is a file. */
export function openLogDestination(
  path: string,
  rotation: RotationOptions,
  wheel: TimerWheel,
): LogDestination {
  const stream = STREAMS.get(path);
  return stream === undefined ? new LogFile(path, rotation, wheel) : streamDestination(path, stream, wheel);
}

/** True for destinations that name no file of the host. */
export function isStandardDestination(path: string): boolean {
  return STREAMS.has(path) || path === '/dev/null';
}

function streamDestination(name: string, fd: number, wheel: TimerWheel): LogDestination {
  return {
    name,
    write: (batch, done) => writeAll(fd, batch, 0, wheel, done),
    reopen() {
      // A stream belongs to whoever started the process.
    },
    close() {
      // Not ours to close.
    },
  };
}

class LogFile implements LogDestination {
  readonly name: string;
  readonly #rotation: RotationOptions;
  readonly #wheel: TimerWheel;
  #fd = -1;
  #size = 0;
  /** Devices and pipes have no size and are never rotated. */
  #isRegular = false;
  #mustReopen = false;

  constructor(path: string, rotation: RotationOptions, wheel: TimerWheel) {
    this.name = path;
    this.#rotation = rotation;
    this.#wheel = wheel;
  }

  write(batch: Uint8Array<ArrayBuffer>, done: (error: Error | null) => void): void {
    try {
      if (this.#mustReopen) this.close();
      if (this.#fd < 0) this.#open();
      if (this.#isFullWith(batch.length)) this.#rotate();
    } catch (error) {
      done(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    writeAll(this.#fd, batch, 0, this.#wheel, (error) => {
      if (error === null) this.#size += batch.length;
      // After a failed write the descriptor is suspect (a removed disk): the next batch opens anew.
      else this.#mustReopen = true;
      done(error);
    });
  }

  reopen(): void {
    this.#mustReopen = true;
  }

  close(): void {
    this.#mustReopen = false;
    if (this.#fd < 0) return;
    const fd = this.#fd;
    this.#fd = -1;
    closeSync(fd);
  }

  #open(): void {
    this.#fd = openSync(this.name, FILE_FLAGS, FILE_MODE);
    const stat = fstatSync(this.#fd);
    this.#size = stat.size;
    this.#isRegular = stat.isFile();
  }

  #isFullWith(bytes: number): boolean {
    const { maxBytes } = this.#rotation;
    return this.#isRegular && maxBytes > 0 && this.#size > 0 && this.#size + bytes > maxBytes;
  }

  /** `path` → `path.1` → `path.2` …; the oldest is overwritten. */
  #rotate(): void {
    this.close();
    const { keep } = this.#rotation;
    for (let i = keep; i >= 1; i -= 1) {
      renameIfPresent(i === 1 ? this.name : `${this.name}.${i - 1}`, `${this.name}.${i}`);
    }
    if (keep === 0) rmSync(this.name, { force: true });
    this.#open();
  }
}

function renameIfPresent(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
  }
}

/** How soon a full non-blocking pipe (its other end chose the mode) is tried again. */
const RETRY_MS = 20;

/** A pipe or a full disk may take only a part. */
function writeAll(
  fd: number,
  batch: Uint8Array<ArrayBuffer>,
  from: number,
  wheel: TimerWheel,
  done: (error: Error | null) => void,
): void {
  write(fd, batch, from, batch.length - from, null, (error, written) => {
    if (error !== null) {
      if (error.code === 'EAGAIN') wheel.schedule(RETRY_MS, () => writeAll(fd, batch, from, wheel, done));
      else done(error);
    } else if (from + written >= batch.length) done(null);
    else if (written === 0) done(new Error('the destination takes no bytes'));
    else writeAll(fd, batch, from + written, wheel, done);
  });
}
