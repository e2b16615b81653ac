/** Time limits of a request whose answer begins before the request has ended. */
import { expect, test } from 'bun:test';
import { retryOn } from '../../http/test-doubles.ts';
import { RouterWorld, type FakeStream } from './test-router.ts';

function answeredEarly(perTryIdleTimeoutMs: number) {
  const retry = retryOn({ fiveXx: true }, { maxRetries: 1, perTryTimeoutMs: 100, perTryIdleTimeoutMs });
  const made = new RouterWorld({ action: { retry } });
  made.start(false);
  const [only] = made.streams as [FakeStream];
  only.ready();
  only.head(200);
  made.send(10);
  made.router.end(null);
  return { made, only };
}

test('the time for a try does not begin once its response is being forwarded', () => {
  const { made, only } = answeredEarly(0);
  made.clock.advance(5000);
  only.data(5);
  only.end();
  expect([made.begun, made.receivedBytes, made.ends, made.aborts]).toEqual([[200], 5, 1, []]);
});

test('a response that falls silent is still given up', () => {
  const { made, only } = answeredEarly(1000);
  made.clock.advance(900);
  only.data(5);
  made.clock.advance(900);
  expect(made.aborts).toEqual([]);
  made.clock.advance(200);
  expect([made.aborts, only.isReleased]).toEqual([['per-try-timeout'], true]);
});
