/** Log files read as they grow. */
import { closeSync, existsSync, openSync, readSync, statSync } from 'node:fs';
import { LineCutter } from './reporter.ts';

export interface LogFile {
  readonly name: string;
  readonly path: string;
}

/** Bytes read for the last lines, at the least. */
const chunkBytes = 256 * 1024;

/** One file, read from its end on; a file that was emptied or replaced is read from its beginning. */
export class LogTail {
  readonly #file: LogFile;
  readonly #cutter: LineCutter;
  #offset = 0;
  #inode = 0;

  constructor(file: LogFile, onLine: (name: string, line: string) => void) {
    this.#file = file;
    this.#cutter = new LineCutter((line) => onLine(file.name, line));
  }

  /** Gives out the last lines. */
  begin(count: number): void {
    if (!existsSync(this.#file.path)) return;
    const { size, ino } = statSync(this.#file.path);
    this.#inode = ino;
    const lines: string[] = [];
    const cutter = new LineCutter((line) => lines.push(line));
    this.#offset = size;
    // Lines average well below a kilobyte; a tail of very long ones is cut short rather than the file read whole.
    const from = count === 0 ? size : Math.max(0, size - Math.max(chunkBytes, count * 1024));
    cutter.push(readRange(this.#file.path, from, size));
    cutter.flush();
    for (const line of lines.slice(from > 0 ? 1 : 0).slice(-count)) this.#cutter.push(`${line}\n`);
  }

  /** Gives out what was added since. */
  look(): void {
    if (!existsSync(this.#file.path)) return;
    const { size, ino } = statSync(this.#file.path);
    if (ino !== this.#inode || size < this.#offset) this.#offset = 0;
    this.#inode = ino;
    this.#cutter.push(readRange(this.#file.path, this.#offset, size));
    this.#offset = size;
  }
}

function readRange(path: string, from: number, to: number): string {
  const length = Math.max(0, to - from);
  const buffer = Buffer.alloc(length);
  const fd = openSync(path, 'r');
  try {
    const read = readSync(fd, buffer, 0, length, from);
    return buffer.toString('utf8', 0, read);
  } finally {
    closeSync(fd);
  }
}
