/**
 * Turns of the event loop, for tests with real sockets and a fake clock. A loop around one, `while (!isSo()) await
 * turns();`, waits for a condition without a pause; a number of them shows that something does not happen.
 */

/** Lets the event loop go round that many times: what has arrived is read, and what was put off is done. */
export async function turns(count = 1): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((done) => setImmediate(done));
}
