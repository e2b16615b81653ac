import { expect, test } from 'bun:test';
import { SilenceWatch } from './silence-watch.ts';

test('silence is told once when it has lasted, and its end once', async () => {
  let nowMs = 0;
  let due: (() => void) | undefined;
  let isUp = true;
  const told: string[] = [];
  const watch = new SilenceWatch({
    timers: {
      nowMs: () => nowMs,
      after(_, callback) {
        due = callback;
        return () => (due = undefined);
      },
    },
    pollMs: 2000,
    silenceMs: 10_000,
    answers: () => Promise.resolve(isUp),
    onSilent: () => told.push(`silent at ${nowMs}`),
    onAnswers: () => told.push(`answers at ${nowMs}`),
  });
  const poll = async (times: number): Promise<void> => {
    for (let i = 0; i < times; i++) {
      nowMs += 2000;
      due?.();
      await Promise.resolve();
      await Promise.resolve();
    }
  };
  watch.start();
  await poll(3);
  isUp = false;
  await poll(4);
  expect(told).toEqual([]);
  await poll(4);
  expect(told).toEqual(['silent at 16000']);
  isUp = true;
  await poll(3);
  expect(told).toEqual(['silent at 16000', 'answers at 24000']);
  watch.stop();
  expect(due).toBeUndefined();
});
