/**
 * The identity side of serving: which instance a certificate may act as, who still may, and the secure port
 * (15012: configuration over mutual TLS, and signing).
 */
import { isProblem, parseWorkloadId } from '@sluice/identity';
import type { Logger } from '@sluice/runtime';
import type { GrpcHandler, GrpcHandlers, GrpcPeer } from '@sluice/wire';
import type { Node } from '@sluice/xds';
import type { Binding } from '../authority/authority-table.ts';
import { readPresented } from '../authority/caller.ts';
import type { MeshAuthority } from '../authority/mesh-authority.ts';
import type { ServerCredentialKeeper } from '../authority/server-credential.ts';
import { signingPath } from '../authority/signing-service.ts';
import type { RegisteredInstance, Registry } from '../registry/registry.ts';
import type { AdmittedInstance } from './ads/ads-stream.ts';
import { GrpcServer, type GrpcServerOptions } from './ads/grpc-server.ts';

export interface MeshIdentity {
  readonly authority: MeshAuthority;
  readonly keeper: ServerCredentialKeeper;
  readonly signing: GrpcHandler;
  /** `host:port` to open the secure port on. */
  readonly secureAddress: string;
}

type PortLimits = Omit<GrpcServerOptions, 'handlers' | 'log' | 'tls'>;

export function secureServer(
  { authority, keeper, signing }: MeshIdentity,
  handlers: GrpcHandlers,
  log: Logger,
  limits: PortLimits,
): GrpcServer {
  return new GrpcServer({
    handlers: new Map([...handlers, [signingPath, signing]]),
    log,
    ...limits,
    tls: {
      credential: () => keeper.current,
      identify: (chain) => {
        const judged = judgePresented(authority, chain);
        if (judged.ok) return judged.spiffeId;
        log.warning('a client’s certificate is not accepted', { reason: judged.reason });
        return null;
      },
    },
  });
}

export type JudgedPeer =
  | {
      readonly ok: true;
      readonly spiffeId: string;
      readonly serial: string;
      readonly notAfterMs: number;
    }
  | { readonly ok: false; readonly reason: string };

/** A chain as presented: trusted now, not revoked, naming one workload of the trust domain. */
export function judgePresented(authority: MeshAuthority, chain: readonly Uint8Array[]): JudgedPeer {
  const presented = readPresented(chain);
  if (isProblem(presented)) return { ok: false, reason: presented.message };
  const verified = authority.verify(presented);
  if (isProblem(verified)) return { ok: false, reason: verified.message };
  const [leaf] = presented;
  const id = parseWorkloadId(leaf?.uriSans[0] ?? '');
  if (leaf === undefined || leaf.uriSans.length !== 1 || isProblem(id))
    return { ok: false, reason: 'the certificate names no workload' };
  if (id.trustDomain !== authority.trustDomain)
    return { ok: false, reason: 'the certificate is of another trust domain' };
  // Beside the lists: an authority whose key is gone can put nothing on its own.
  if ((authority.issuedRow(leaf.serial)?.revokedMs ?? 0) > 0)
    return { ok: false, reason: 'the certificate has been revoked' };
  return { ok: true, spiffeId: id.text, serial: leaf.serial, notAfterMs: leaf.notAfterMs };
}

/**
 * The instance that a node names, where the certificate is that of its account and its binding fits what was
 * registered. A node's own word alone decides nothing (design §6, Node contract).
 */
export function admitByCertificate(
  authority: MeshAuthority,
  registry: Pick<Registry, 'instances'>,
  node: Node,
  peer: GrpcPeer,
): AdmittedInstance {
  const judged = judgePresented(authority, peer.certificateChain ?? []);
  if (!judged.ok) return judged;
  const name = instanceOf(node);
  const registered = registry.instances.get(name);
  if (registered === undefined) return { ok: false, reason: 'the node is not a registered instance' };
  const { namespace, serviceAccount } = registered.registration;
  const id = parseWorkloadId(judged.spiffeId);
  if (isProblem(id) || id.namespace !== namespace || id.account !== serviceAccount)
    return { ok: false, reason: 'the certificate is not that of the instance’s namespace and account' };
  const wrong = judgeBinding(registered, authority.issuedRow(judged.serial)?.binding);
  if (wrong !== null) return { ok: false, reason: wrong };
  authority.noteInstance(name, judged.serial);
  return { ok: true, instance: name };
}

/** What the join token allowed its holder to be, carried over from certificate to certificate. */
function judgeBinding(
  { instance, registration }: RegisteredInstance,
  binding: Binding | undefined,
): string | null {
  if (binding === undefined) return null;
  if (binding.instance !== '' && binding.instance !== instance)
    return 'the certificate was given to another instance';
  if (Object.entries(binding.labels).some(([name, value]) => registration.labels[name] !== value))
    return 'the instance has not the labels that its certificate was given for';
  const isPortBeyond = registration.ports.some(({ appPort }) => !binding.ports.includes(appPort));
  return binding.ports.length > 0 && isPortBeyond
    ? 'the instance has ports beyond those that its certificate was given for'
    : null;
}

/** Our own metadata, or the third part of an Istio node id: `sidecar~ip~NAME.NAMESPACE~domain`. */
function instanceOf(node: Node): string {
  const told = node.metadata?.['SLUICE_INSTANCE'];
  return typeof told === 'string' ? told : (node.id.split('~')[2] ?? '');
}
