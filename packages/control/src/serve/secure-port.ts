/**
 * The secure port within serving: secrets for those that came with a certificate, and what follows from a change of
 * trust. Revocation reaches the connected proxies by the push of `ROOTCA`, and ends the revoked one's own stream.
 */
import type { AdsResources, AdsSnapshot, Node } from '@sluice/xds';
import { xdsTypes } from '@sluice/xds';
import type { GrpcPeer } from '@sluice/wire';
import { hasErrorCode } from '../errors.ts';
import type { RegisteredInstance } from '../registry/registry.ts';
import { workloadLabels } from '../registry/workload-entry.ts';
import type { StoreChange } from '../source/store.ts';
import type { AdsServer } from './ads/ads-server.ts';
import type { AdmittedInstance } from './ads/ads-stream.ts';
import type { GrpcServerOptions } from './ads/grpc-server.ts';
import { isBundleSpread } from './bundle-spread.ts';
import { describeListenFailure, parseAddress } from './http-server.ts';
import { admitByCertificate, secureServer } from './mesh-identity.ts';
import type { MeshServingOptions } from './mesh-serving.ts';
import { PeerWatch } from './peer-watch.ts';
import { SecretResources } from './secret-resources.ts';

export interface SecurePort {
  admit(node: Node, peer: GrpcPeer): AdmittedInstance;
  /** The same object as before while neither part changed. */
  withSecrets(snapshot: AdsSnapshot, instance: RegisteredInstance): AdsSnapshot;
  /** True when proxies have to be told of something. */
  apply(changes: readonly StoreChange[]): boolean;
  hasReachedAll(): boolean;
  listen(): Promise<string>;
  close(): Promise<void>;
}

const flag = '--secure-xds-address';
/** Streams of expired certificates end, and a new certificate of our own is taken into use, within this time. */
const checkIntervalMs = 5000;

/** Null without an authority. `onChange` when proxies have to be told of something. */
export function openSecurePort(
  { identity, registry, store, clock, log }: MeshServingOptions,
  ads: AdsServer,
  limits: Omit<GrpcServerOptions, 'handlers' | 'log' | 'tls'>,
  onChange: () => void,
): SecurePort | null {
  if (identity === undefined) return null;
  const { authority, keeper } = identity;
  const secrets = new SecretResources(store, authority);
  const server = secureServer(identity, ads.secureHandlers, log, limits);
  const joined = new WeakMap<
    AdsSnapshot,
    { readonly secrets: AdsResources; readonly snapshot: AdsSnapshot }
  >();

  const peers = new PeerWatch(identity, clock);
  const renewCredential = (): void => {
    try {
      if (keeper.check()) server.renewCredential();
    } catch (error) {
      // The one that is shown goes on; nothing else that is due must wait for it.
      if (!hasErrorCode(error, 'state-unwritable')) throw error;
      log.error('the certificate of the control plane could not be renewed', { problem: error.message });
    }
  };
  const unsubscribe = authority.subscribe((kind) => {
    if (kind === 'instances') return;
    secrets.trustChanged();
    renewCredential();
    ads.rejudge((peer) => (kind === 'revocation' ? peers.revocation(peer) : peers.trust(peer)));
    onChange();
  });
  const timer = setInterval(() => {
    renewCredential();
    ads.rejudge((peer) => peers.expiry(peer));
  }, checkIntervalMs);

  return {
    admit: (node, peer) => admitByCertificate(authority, registry, node, peer),
    withSecrets(snapshot, { registration }) {
      const own = secrets.of(registration.namespace, workloadLabels(registration));
      const known = joined.get(snapshot);
      if (known?.secrets === own) return known.snapshot;
      const whole = {
        version: snapshot.version,
        types: new Map([...snapshot.types, [xdsTypes.secret, own]]),
      };
      joined.set(snapshot, { secrets: own, snapshot: whole });
      return whole;
    },
    apply: (changes) => secrets.apply(changes),
    hasReachedAll: () => isBundleSpread(ads.streams, registry.instances.values(), secrets.rootVersion),
    async listen() {
      const { host, port } = parseAddress(identity.secureAddress, flag);
      try {
        return await server.listen(host, port);
      } catch (error) {
        throw describeListenFailure(error, { flag, purpose: 'xDS and signing over TLS' }, host, port);
      }
    },
    async close() {
      clearInterval(timer);
      unsubscribe();
      await server.close();
    },
  };
}
