/** Two attempts at different positions of one body, of which the slower one goes. */
import { expect, test } from 'bun:test';
import { retryOn } from '../../http/test-doubles.ts';
import { bodyOf, RouterWorld, type FakeStream } from './test-router.ts';

test.each(['fails', 'loses'])('when it %s, the other goes on in order and nothing is kept for it', (how) => {
  const made = new RouterWorld({
    hedging: { initialAttempts: 2, onPerTryTimeout: false },
    action: { retry: retryOn({ fiveXx: true }, { maxRetries: 1 }) },
  });
  made.start(false);
  const [quick, slow] = made.streams as [FakeStream, FakeStream];
  quick.ready();
  slow.ready();
  slow.isWritable = false;
  made.send(70_000);
  if (how === 'fails') slow.reset('remote-reset');
  else quick.head(200);
  expect(made.router.body.keptBytes).toBe(0);
  made.send(1000);
  quick.isWritable = false;
  made.send(500);
  quick.isWritable = true;
  quick.sink.onUpstreamWritable();
  expect(quick.body.equals(bodyOf(0, 71_500))).toBe(true);
});
