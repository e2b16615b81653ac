/**
 * Where the process's own log goes: standard error or a file. Lines are written as they come; a stalled
 * reader of a pipe makes the stream queue, so beyond a cap lines are dropped and counted, never awaited.
 */
import { appendFileSync, closeSync, openSync } from 'node:fs';

export interface ProcessLog {
  write(line: string): void;
  /** After the file was moved away. */
  reopen(): void;
}

/** Bytes that may wait in standard error's queue. */
const maxQueuedBytes = 1024 * 1024;

export function openProcessLog(path: string | null): ProcessLog {
  return path === null ? standardError() : file(path);
}

function standardError(): ProcessLog {
  let dropped = 0;
  return {
    write(line) {
      if (process.stderr.writableLength > maxQueuedBytes) {
        dropped++;
        return;
      }
      if (dropped > 0) process.stderr.write(`${dropped} log lines were dropped: nobody read them\n`);
      dropped = 0;
      process.stderr.write(line);
    },
    reopen: () => undefined,
  };
}

function file(path: string): ProcessLog {
  let fd = openSync(path, 'a');
  return {
    write: (line) => appendFileSync(fd, line),
    reopen() {
      closeSync(fd);
      fd = openSync(path, 'a');
    },
  };
}
