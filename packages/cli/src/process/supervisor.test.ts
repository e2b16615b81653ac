/** One process kept running, told by what happens to it: restarts, backoff, stops, kills. */
import { describe, expect, test } from 'bun:test';
import { createRandom } from '@sluice/runtime';
import type { Child, ChildExit } from './child.ts';
import { Supervisor, type RestartPolicy, type Timers } from './supervisor.ts';

class FakeTimers implements Timers {
  #now = 0;
  #next = 1;
  readonly #due = new Map<number, { readonly atMs: number; readonly callback: () => void }>();

  nowMs(): number {
    return this.#now;
  }

  after(delayMs: number, callback: () => void): () => void {
    const id = this.#next++;
    this.#due.set(id, { atMs: this.#now + delayMs, callback });
    return () => void this.#due.delete(id);
  }

  advance(ms: number): void {
    const target = this.#now + ms;
    for (;;) {
      const [first] = [...this.#due]
        .filter(([, { atMs }]) => atMs <= target)
        .sort((a, b) => a[1].atMs - b[1].atMs);
      if (first === undefined) break;
      this.#due.delete(first[0]);
      this.#now = first[1].atMs;
      first[1].callback();
    }
    this.#now = target;
  }
}

function setUp(restart: RestartPolicy) {
  const timers = new FakeTimers();
  const children: { readonly signals: string[]; exit(exit: Partial<ChildExit>): Promise<void> }[] = [];
  const waits: (number | undefined)[] = [];
  const start = (): Child => {
    const { promise, resolve } = Promise.withResolvers<ChildExit>();
    const signals: string[] = [];
    children.push({
      signals,
      exit: async (exit) => {
        resolve({ code: null, signal: null, ...exit });
        await promise;
        await Promise.resolve();
      },
    });
    return {
      pid: 1000 + children.length,
      identity: undefined,
      exited: promise,
      signal: (signal) => void signals.push(signal),
    };
  };
  const supervisor = new Supervisor({
    restart,
    start,
    timers,
    random: createRandom(1),
    onExited: (_, restartInMs) => waits.push(restartInMs),
  });
  const last = () => {
    const child = children.at(-1);
    if (child === undefined) throw new Error('nothing was started');
    return child;
  };
  return { supervisor, timers, children, waits, last };
}

describe('restarts', () => {
  test('the first comes at once, the next ones back off within their bounds', async () => {
    const { supervisor, timers, children, waits, last } = setUp('always');
    supervisor.start();
    for (let crash = 0; crash < 9; crash++) {
      await last().exit({ signal: 'SIGKILL' });
      expect(supervisor.state).toBe('waiting');
      timers.advance(waits.at(-1) ?? 0);
      expect(supervisor.state).toBe('running');
    }
    expect(children).toHaveLength(10);
    expect(supervisor.restarts).toBe(9);
    expect(waits[0]).toBe(0);
    for (const [index, wait = 0] of waits.slice(1).entries()) {
      const ceiling = Math.min(400 * 2 ** index, 15_000);
      expect(wait).toBeGreaterThanOrEqual(ceiling / 2);
      expect(wait).toBeLessThanOrEqual(ceiling);
    }
  });

  test('a process that stood for a while is restarted at once again', async () => {
    const { supervisor, timers, waits, last } = setUp('always');
    supervisor.start();
    for (let crash = 0; crash < 3; crash++) {
      await last().exit({ code: 1 });
      timers.advance(waits.at(-1) ?? 0);
    }
    timers.advance(10_000);
    await last().exit({ code: 1 });
    expect(waits.at(-1)).toBe(0);
  });

  test.each([
    ['on-failure', { code: 0 }, false],
    ['on-failure', { code: 3 }, true],
    ['on-failure', { signal: 'SIGSEGV' }, true],
    ['never', { code: 1 }, false],
    ['always', { code: 0 }, true],
  ] as const)('policy %s after %p: again %p', async (policy, exit, again) => {
    const { supervisor, last, waits } = setUp(policy);
    supervisor.start();
    await last().exit(exit);
    expect(supervisor.state).toBe(again ? 'waiting' : 'ended');
    expect(waits).toEqual([again ? 0 : undefined]);
    if (!again) expect(await supervisor.ended).toMatchObject(exit);
  });
});

describe('stopping', () => {
  test('asks first, and kills after the grace', async () => {
    const { supervisor, timers, last } = setUp('always');
    supervisor.start();
    const stopped = supervisor.stop(500);
    expect(last().signals).toEqual(['SIGTERM']);
    timers.advance(499);
    expect(last().signals).toEqual(['SIGTERM']);
    timers.advance(1);
    expect(last().signals).toEqual(['SIGTERM', 'SIGKILL']);
    await last().exit({ signal: 'SIGKILL' });
    await stopped;
    expect(supervisor.state).toBe('ended');
  });

  test('while it waits to be restarted, it is not started any more', async () => {
    const { supervisor, timers, children, last } = setUp('always');
    supervisor.start();
    await last().exit({ code: 1 });
    await supervisor.stop(500);
    timers.advance(60_000);
    expect(children).toHaveLength(1);
  });

  test('before it was started, and twice, is done at once', async () => {
    const { supervisor, children } = setUp('always');
    await supervisor.stop(500);
    await supervisor.stop(500);
    supervisor.start();
    expect(children).toHaveLength(0);
  });

  test('a restart asked for replaces the process and goes on supervising', async () => {
    const { supervisor, timers, children, last } = setUp('always');
    supervisor.start();
    supervisor.restart(500);
    expect(last().signals).toEqual(['SIGTERM']);
    await last().exit({ code: 0 });
    timers.advance(0);
    expect(children).toHaveLength(2);
    expect(supervisor.state).toBe('running');
  });
});
