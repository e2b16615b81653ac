import { createLogger, FakeClock, MetricsRegistry, TimerWheel } from '@sluice/runtime';
import { withTempDir } from '@sluice/testkit';
import { describe, expect, test } from 'bun:test';
import { existsSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { BATCH_BYTES, createBatchingSink, FLUSH_INTERVAL_MS } from './log-batch.ts';
import type { AccessLogBatch } from './log-channel.ts';
import { openLogDestination } from './log-file.ts';
import { countLines, LogQueue, type LogDestination } from './log-queue.ts';
import { droppedLinesCounter, FileLogSinks, LoopLogSinks } from './log-sinks.ts';
import type { LineFormat } from './format-text.ts';
import { finishedRequest } from './records.test-double.ts';

const record = finishedRequest();

/** A format that writes a fixed line. */
function fixed(text: string): LineFormat {
  const bytes = Buffer.from(text);
  return (out) => out.literal(bytes);
}

function world() {
  const clock = new FakeClock();
  const wheel = new TimerWheel(clock);
  clock.attach(wheel);
  const metrics = new MetricsRegistry();
  const messages: string[] = [];
  const logger = createLogger({ component: 'test', write: (line) => messages.push(line) });
  return { clock, wheel, metrics, dropped: droppedLinesCounter(metrics), logger, messages };
}

function bytes(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(text));
}

function write(destination: LogDestination, text: string): Promise<Error | null> {
  return new Promise((resolve) => destination.write(bytes(text), resolve));
}

describe('batching', () => {
  test('lines are handed over together after the interval, and an idle sink arms no timer', () => {
    const { clock, wheel, dropped } = world();
    const batches: string[] = [];
    const take = (batch: Uint8Array): boolean => batches.push(Buffer.from(batch).toString()) > 0;
    const sink = createBatchingSink({ take, wheel, dropped });
    expect(wheel.size).toBe(0);
    sink.append(fixed('a\n'), record);
    sink.append(fixed('b\n'), record);
    clock.advance(FLUSH_INTERVAL_MS - 10);
    expect(batches).toEqual([]);
    clock.advance(20);
    expect(batches).toEqual(['a\nb\n']);
    expect(wheel.size).toBe(0);
  });

  test('a full batch goes at once, and never ends inside a line', () => {
    const { wheel, dropped } = world();
    const batches: Uint8Array[] = [];
    const sink = createBatchingSink({ take: (batch) => batches.push(batch) > 0, wheel, dropped });
    const line = `${'x'.repeat(999)}\n`;
    for (let i = 0; i < 40; i += 1) sink.append(fixed(line), record);
    expect(batches.map((batch) => batch.length)).toEqual([Math.ceil(BATCH_BYTES / 1000) * 1000]);
    expect(batches[0]?.at(-1)).toBe(0x0a);
  });

  test('refused batches count their lines', () => {
    const { wheel, dropped } = world();
    const sink = createBatchingSink({ take: () => false, wheel, dropped });
    for (let i = 0; i < 3; i += 1) sink.append(fixed('a\n'), record);
    sink.flush();
    expect(dropped.value).toBe(3);
  });

  test('a format that throws loses its own line only', () => {
    const { wheel, dropped } = world();
    const batches: string[] = [];
    const take = (batch: Uint8Array): boolean => batches.push(Buffer.from(batch).toString()) > 0;
    const sink = createBatchingSink({ take, wheel, dropped });
    sink.append((out) => {
      out.literal(bytes('half'));
      throw new Error('broken');
    }, record);
    sink.append(fixed('whole\n'), record);
    sink.flush();
    expect([batches, dropped.value]).toEqual([['whole\n'], 1]);
  });
});

/** Completes writes when told to. */
class ManualDestination implements LogDestination {
  readonly name = 'manual';
  readonly written: string[] = [];
  #pending: ((error: Error | null) => void) | null = null;

  write(batch: Uint8Array, done: (error: Error | null) => void): void {
    this.written.push(Buffer.from(batch).toString());
    this.#pending = done;
  }

  finish(error: Error | null = null): void {
    const done = this.#pending;
    this.#pending = null;
    done?.(error);
  }

  reopen(): void {
    // Nothing is open.
  }

  close(): void {
    // Nothing is open.
  }
}

describe('a stalled or failing destination', () => {
  test('is written one batch at a time, in order', () => {
    const { dropped, logger } = world();
    const destination = new ManualDestination();
    const queue = new LogQueue({ destination, maxBytes: 100, dropped, logger });
    queue.push(bytes('1\n'));
    queue.push(bytes('2\n'));
    expect(destination.written).toEqual(['1\n']);
    destination.finish();
    destination.finish();
    expect(destination.written).toEqual(['1\n', '2\n']);
    expect(queue.queuedBytes).toBe(0);
  });

  test('keeps no more than the cap; the rest is dropped, counted and told once', async () => {
    const { dropped, logger, messages } = world();
    const destination = new ManualDestination();
    const queue = new LogQueue({ destination, maxBytes: 8, dropped, logger });
    for (let i = 0; i < 5; i += 1) queue.push(bytes('a\nb\n'));
    expect([queue.queuedBytes, dropped.value]).toEqual([8, 6]);
    expect(messages).toHaveLength(1);
    expect(messages[0]).toContain('access log lines are being dropped');
    const idle = queue.whenIdle();
    destination.finish();
    destination.finish();
    await idle;
    expect(messages).toHaveLength(2);
    expect(messages[1]).toContain('access log is written again');
    queue.push(bytes('c\n'));
    destination.finish();
    expect([destination.written.at(-1), dropped.value]).toEqual(['c\n', 6]);
  });

  test('an error drops that batch, and writing goes on', () => {
    const { dropped, logger, messages } = world();
    const destination = new ManualDestination();
    const queue = new LogQueue({ destination, maxBytes: 100, dropped, logger });
    queue.push(bytes('a\n'));
    queue.push(bytes('b\n'));
    destination.finish(new Error('ENOSPC: no space left on device'));
    destination.finish();
    expect([dropped.value, destination.written]).toEqual([1, ['a\n', 'b\n']]);
    expect(messages[0]).toContain('no space left');
  });
});

describe('log files', () => {
  test('are appended to, rotated by size and only so many are kept', async () => {
    await withTempDir(async (dir) => {
      const path = join(dir, 'access.log');
      const destination = openLogDestination(path, { maxBytes: 10, keep: 2 }, world().wheel);
      for (const text of ['1234567\n', '2345678\n', '3456789\n', '4567890\n'])
        expect(await write(destination, text)).toBeNull();
      destination.close();
      expect(readFileSync(path, 'utf8')).toBe('4567890\n');
      expect(readFileSync(`${path}.1`, 'utf8')).toBe('3456789\n');
      expect(readFileSync(`${path}.2`, 'utf8')).toBe('2345678\n');
      expect(existsSync(`${path}.3`)).toBe(false);
    });
  });

  test('are opened anew after rotation from outside', async () => {
    await withTempDir(async (dir) => {
      const path = join(dir, 'access.log');
      const destination = openLogDestination(path, { maxBytes: 0, keep: 0 }, world().wheel);
      await write(destination, 'before\n');
      renameSync(path, `${path}.moved`);
      await write(destination, 'still old\n');
      destination.reopen();
      await write(destination, 'after\n');
      destination.close();
      expect(readFileSync(`${path}.moved`, 'utf8')).toBe('before\nstill old\n');
      expect(readFileSync(path, 'utf8')).toBe('after\n');
    });
  });

  test('a file that cannot be opened is an error of the batch, and is tried again', async () => {
    await withTempDir(async (dir) => {
      const destination = openLogDestination(dir, { maxBytes: 0, keep: 0 }, world().wheel);
      expect((await write(destination, 'a\n'))?.message).toContain('EISDIR');
    });
  });

  test('a named pipe without a reader is an error of the batch, not a stop of the process', async () => {
    await withTempDir(async (dir) => {
      const path = join(dir, 'pipe');
      Bun.spawnSync(['mkfifo', path]);
      const destination = openLogDestination(path, { maxBytes: 0, keep: 0 }, world().wheel);
      expect((await write(destination, 'a\n'))?.message).toContain('ENXIO');
    });
  });

  test('a full disk is an error of the batch', async () => {
    const destination = openLogDestination('/dev/full', { maxBytes: 0, keep: 0 }, world().wheel);
    expect((await write(destination, 'a\n'))?.message).toContain('ENOSPC');
    destination.close();
  });

  test('a pipe that nobody reads blocks neither the loop nor the end', async () => {
    await withTempDir(async (dir) => {
      const path = join(dir, 'pipe');
      Bun.spawnSync(['mkfifo', path]);
      // Keeps a reading end open without ever reading from it.
      const holder = Bun.spawn(['sh', '-c', `exec 3<>"$0"; echo ready; exec sleep 60`, path], {
        stdout: 'pipe',
      });
      try {
        const { value } = await holder.stdout.getReader().read();
        expect(Buffer.from(value ?? []).toString()).toBe('ready\n');
        const { clock, wheel, metrics, logger, dropped } = world();
        const sinks = new FileLogSinks({ wheel, metrics, logger, rotation: { maxBytes: 0, keep: 0 } });
        const line = fixed(`${'x'.repeat(1023)}\n`);
        const sink = sinks.sink(path);
        for (let i = 0; i < 4096; i += 1) sink.append(line, record);
        expect(dropped.value).toBeGreaterThan(2000);
        const closing = sinks.close(500);
        clock.advance(600);
        await closing;
      } finally {
        holder.kill();
        await holder.exited;
      }
    });
  });
});

describe('from a loop to the main thread', () => {
  test('batches arrive as they were, and a window of unacknowledged bytes bounds the loop', () => {
    const { wheel, metrics, dropped } = world();
    const posted: AccessLogBatch[] = [];
    const sinks = new LoopLogSinks({ wheel, metrics, post: (message) => posted.push(message) });
    const sink = sinks.sink('/dev/stdout');
    const line = fixed(`${'x'.repeat(32 * 1024 - 1)}\n`);
    for (let i = 0; i < 40; i += 1) sink.append(line, record);
    expect([posted.length, dropped.value]).toEqual([32, 8]);
    for (const { path, bytes: sent } of posted) {
      expect(countLines(sent)).toBe(1);
      sinks.onTaken({ kind: 'accessLogTaken', path, bytes: sent.length });
    }
    sink.append(line, record);
    expect(posted).toHaveLength(33);
  });

  test('the main thread writes what loops send and answers how much it took', async () => {
    await withTempDir(async (dir) => {
      const path = join(dir, 'access.log');
      const { wheel, metrics, logger } = world();
      const sinks = new FileLogSinks({ wheel, metrics, logger, rotation: { maxBytes: 0, keep: 0 } });
      const answer = sinks.onBatch({ kind: 'accessLog', path, bytes: bytes('from a loop\n') });
      expect(answer).toEqual({ kind: 'accessLogTaken', path, bytes: 12 });
      await sinks.close(1000);
      expect(readFileSync(path, 'utf8')).toBe('from a loop\n');
    });
  });
});
