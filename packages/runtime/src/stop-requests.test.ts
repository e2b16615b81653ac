import { expect, test } from 'bun:test';
import { FakeClock } from './clock.ts';
import { StopRequests } from './stop-requests.ts';

test('what follows a signal at once is its echo, what comes later is meant', () => {
  const clock = new FakeClock();
  const requests = new StopRequests(clock);
  expect(requests.hear()).toBe('first');
  clock.advance(5);
  expect(requests.hear()).toBe('echo');
  clock.advance(390);
  expect(requests.hear()).toBe('echo');
  clock.advance(6);
  expect(requests.hear()).toBe('again');
});
