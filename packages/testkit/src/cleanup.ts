/**
 * What tests leave behind is ended in one place. Everything in this package that starts something registers
 * its end here; `cleanUp` runs them, newest first.
 *
 * A test file that starts anything says `afterAll(cleanUp);` at its top level. It cannot be done for the
 * file: Bun ties a hook to the file whose evaluation registers it, this module is evaluated once for all
 * files, and a hook registered inside a test or another hook runs at once. `preload.ts` is the safety net.
 */

type Cleanup = () => void | Promise<void>;

const pending: Cleanup[] = [];

/** Runs `cleanup` at the next `cleanUp`, unless the returned function took it back. */
export function onCleanUp(cleanup: Cleanup): () => void {
  // Wrapped, so that one function registered twice is two clean-ups.
  const entry: Cleanup = () => cleanup();
  pending.push(entry);
  return () => {
    const index = pending.indexOf(entry);
    if (index >= 0) pending.splice(index, 1);
  };
}

/** Ends everything, newest first; all are tried, and what failed is thrown together. */
export async function cleanUp(): Promise<void> {
  const errors: unknown[] = [];
  for (let cleanup = pending.pop(); cleanup !== undefined; cleanup = pending.pop()) {
    try {
      await cleanup();
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0)
    throw new AggregateError(errors, `clean-up failed: ${errors.map(String).join('; ')}`);
}
