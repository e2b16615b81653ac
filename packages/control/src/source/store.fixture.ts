/** For tests: stores of real resources, whose listeners may not fail, and what is written to them as by the API. */
import type { KubeObject } from '@sluice/api';
import { admission } from './admission.ts';
import type { ObjectStoreOptions } from './object-store.ts';
import type { ResourceStore } from './store.ts';

/** A listener that throws ends the write that it was told of, and so the test. */
export function strictStore(
  wallMs: () => number,
  more: Partial<ObjectStoreOptions> = {},
): Omit<ObjectStoreOptions, 'journal'> {
  return {
    admission,
    wallMs,
    onListenerError: (error) => {
      throw error;
    },
    ...more,
  };
}

/** Throws with the words of the first refusal. */
export function putAll(store: ResourceStore, objects: readonly { readonly object: KubeObject }[]): void {
  for (const { object } of objects) {
    const written = store.put(object, { origin: { source: 'api' }, mode: 'upsert' });
    if (!written.ok) throw new Error(`${object.kind} ${object.metadata.name}: ${written.failure.message}`);
  }
}
