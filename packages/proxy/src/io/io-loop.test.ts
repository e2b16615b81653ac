import { expect, test } from 'bun:test';
import { FakeClock, TimerWheel } from '@sluice/runtime';
import { turns } from '@sluice/testkit';
import { IoLoop } from './io-loop.ts';

function newLoop() {
  const errors: unknown[] = [];
  const flushed: string[] = [];
  const loop = new IoLoop(new TimerWheel(new FakeClock()), (error) => errors.push(error));
  const writer = (name: string) => ({ flush: () => void flushed.push(name) });
  return { loop, errors, flushed, writer };
}

test('what several callbacks of a turn write leaves at its end, in their order', async () => {
  const { loop, flushed, writer } = newLoop();
  for (const name of ['a', 'b']) {
    loop.enter();
    loop.flushAtEnd(writer(name));
    loop.leave();
  }
  expect(flushed).toEqual([]);
  await turns();
  expect(flushed).toEqual(['a', 'b']);
});

test('what a flush writes leaves with it', async () => {
  const { loop, flushed, writer } = newLoop();
  loop.flushAtEnd({ flush: () => loop.flushAtEnd(writer('more')) });
  await turns();
  expect(flushed).toEqual(['more']);
});

test('no more than 64 connections wait for the end of a turn', async () => {
  const { loop, flushed, writer } = newLoop();
  for (let i = 0; i < 70; i++) {
    loop.enter();
    loop.flushAtEnd(writer(String(i)));
    loop.leave();
  }
  expect(flushed).toHaveLength(64);
  await turns();
  expect(flushed).toHaveLength(70);
});

test('nothing waits for work that takes long', async () => {
  const { loop, flushed, writer } = newLoop();
  loop.flushAtEnd(writer('a'));
  loop.flushNow();
  expect(flushed).toEqual(['a']);
  await turns();
  expect(flushed).toEqual(['a']);
});

test('one that fails does not hold the others up', async () => {
  const { loop, errors, flushed, writer } = newLoop();
  const broken = new Error('broken');
  loop.flushAtEnd({
    flush() {
      throw broken;
    },
  });
  loop.flushAtEnd(writer('b'));
  await turns();
  expect(flushed).toEqual(['b']);
  expect(errors).toEqual([broken]);
});
