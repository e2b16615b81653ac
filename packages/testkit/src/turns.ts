/**
 * Turns of the event loop, for tests with real sockets and a fake clock. A loop around one, `while (!isSo()) await
 * turns();`, waits for a condition without a pause; a number of them shows that something does not happen.
 */

/** Lets the event loop go round that many times: what has arrived is read, and what was put off is done. */
export async function turns(count = 1): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((done) => setImmediate(done));
}

/**
 * Waits until nothing moves any more: `measure` is the same at twenty looks, 2 ms apart; answers it. For what is held
 * back by the other side: what is judged afterwards is bytes, not time.
 */
export async function untilStill(measure: () => number): Promise<number> {
  let last = Number.NaN;
  for (let stillCount = 0; stillCount < 20;) {
    await new Promise((done) => setTimeout(done, 2));
    const now = measure();
    stillCount = now === last ? stillCount + 1 : 0;
    last = now;
  }
  return last;
}
