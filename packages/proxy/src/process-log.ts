/**
 * Where the process's own log goes: standard error or a file. Lines are written as they come; a stalled
 * reader of a pipe makes the stream queue, so beyond a cap lines are dropped and counted, never awaited.
 * Lines that a full disk refuses are dropped and counted, too: a log never ends the process that carries traffic.
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
  // Without a listener the runtime takes a refused write for a fault of the program.
  process.stderr.on('error', () => {});
  return {
    write(line) {
      if (process.stderr.writableLength > maxQueuedBytes) {
        dropped++;
        return;
      }
      const lost = dropped;
      dropped = 0;
      process.stderr.write(`${noticeOf(lost)}${line}`, (error) => {
        if (error) dropped += lost + 1;
      });
    },
    reopen: () => undefined,
  };
}

function file(path: string): ProcessLog {
  let fd = openSync(path, 'a');
  let dropped = 0;
  const write = (line: string): void => {
    try {
      appendFileSync(fd, `${noticeOf(dropped)}${line}`);
      dropped = 0;
    } catch (error) {
      if (!isSystemError(error)) throw error;
      dropped++;
    }
  };
  return {
    write,
    reopen() {
      try {
        const opened = openSync(path, 'a');
        closeSync(fd);
        fd = opened;
      } catch (error) {
        if (!isSystemError(error)) throw error;
        write(
          `the log cannot be opened anew (${error.message}): it goes on in the file that was moved away\n`,
        );
      }
    },
  };
}

function noticeOf(dropped: number): string {
  return dropped === 0 ? '' : `${dropped} log lines were dropped: nobody read them, or the disk was full\n`;
}

function isSystemError(error: unknown): error is Error {
  return error instanceof Error && 'code' in error;
}
