/**
 * Whether a trust bundle has reached every proxy: before that, no certificate may be signed that only the new bundle
 * verifies. Asked by version: a stream that the push has not come to yet is in order with what it had before.
 */
import { xdsTypes } from '@sluice/xds';
import type { RegisteredInstance } from '../registry/registry.ts';
import type { AdsStream } from './ads/ads-stream.ts';
import { rootSecretName } from './secret-resources.ts';

type BundleStream = Pick<AdsStream, 'instance' | 'proof' | 'heldVersion'>;

/** `version`: of the bundle's resource as it is now. */
export function isBundleSpread(
  streams: Iterable<BundleStream>,
  instances: Iterable<RegisteredInstance>,
  version: string,
): boolean {
  const reached = new Set<string>();
  for (const stream of streams) {
    const isHeld = stream.heldVersion(xdsTypes.secret, rootSecretName) === version;
    // In the clear nobody has certificates to verify.
    if (isHeld || stream.proof === 'token') reached.add(stream.instance);
  }
  for (const one of instances) if (hasProxy(one) && !reached.has(one.instance)) return false;
  return true;
}

/** One that was registered without a sidecar never asks for the bundle. */
function hasProxy({ registration }: RegisteredInstance): boolean {
  return registration.labels['sidecar.istio.io/inject'] !== 'false';
}
