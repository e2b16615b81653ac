/**
 * The key of a request by token. A token is good once, but again for the key that it was spent on: so that
 * key is stored before it is shown, and a process that was killed in between asks for the same.
 */
import {
  exportPrivateKey,
  generateKey,
  importPrivateKey,
  isProblem,
  type KeyKind,
  type KeyPair,
} from '@sluice/identity';
import type { Logger } from '@sluice/runtime';
import type { IdentityStore } from './identity-dir.ts';

export async function keyForToken(store: IdentityStore, kind: KeyKind, logger: Logger): Promise<KeyPair> {
  const pending = store.loadPendingKey();
  const known = pending === null ? null : importPrivateKey(pending);
  if (known !== null && !isProblem(known) && known.kind === kind) return known;
  const key = await generateKey(kind);
  try {
    store.savePendingKey(exportPrivateKey(key));
  } catch (error) {
    logger.warning('the key could not be stored before it is used', { error: String(error) });
  }
  return key;
}
