/**
 * The way to the control plane: the addresses of the bootstrap's xDS clusters, in the order of preference, over
 * TLS where their transport socket says so, with the credential and the trust of the moment.
 */
import type { GrpcClientStream, GrpcMetadata, GrpcStreamSink, GrpcStreamTransport } from '@sluice/wire';
import type { Bootstrap, Cluster, Secret } from '@sluice/xds';
import { endpointLabel } from '../cluster/endpoint-state.ts';
import { controlPlaneClusters } from '../config/check-static.ts';
import type { SecretActivation } from '../config/secret-activation.ts';
import { secretsOf } from '../config/secret-references.ts';
import type { ClientTransport } from '../identity/start-identity.ts';
import type { TlsClientContext } from '../io/tls-context.ts';
import { checkingEnvironment, type TlsEnvironment } from '../tls/tls-environment.ts';
import { checkControlPlaneTls, controlPlaneTls, type ControlPlaneTls } from './control-plane-tls.ts';
import { rotatingTransport } from './rotating-transport.ts';

interface Address {
  readonly cluster: string;
  readonly transport: ClientTransport;
  readonly tls: ControlPlaneTls | null;
}

export class ControlPlaneLink implements GrpcStreamTransport {
  /** As the bootstrap has them. */
  readonly messages: readonly Cluster[];
  readonly #secrets: Pick<SecretActivation, 'has' | 'inline'>;
  readonly #addresses: readonly Address[];
  readonly #all: GrpcStreamTransport;
  /** For contexts of the main thread, which has no other use of TLS. */
  readonly #environment: TlsEnvironment;

  constructor(
    bootstrap: Bootstrap,
    secrets: Pick<SecretActivation, 'has' | 'inline'>,
    wallMs: () => number,
    connect: (target: string, tls: TlsClientContext | null) => ClientTransport,
  ) {
    const names = controlPlaneClusters(bootstrap);
    this.#secrets = secrets;
    this.#environment = { ...checkingEnvironment(), wallMs };
    this.messages = (bootstrap.staticResources?.clusters ?? []).filter(({ name }) => names.has(name));
    this.#addresses = this.messages.flatMap((given) => {
      const cluster = secrets.inline('cluster', given, '', true).message;
      return targetsOf(cluster).map((target) => {
        const tls = controlPlaneTls(cluster, target, this.#environment);
        return { cluster: cluster.name, tls, transport: connect(target, tls) };
      });
    });
    this.#all = rotatingTransport(this.#addresses.map(({ transport }) => transport));
  }

  /** Every certificate and trust bundle that the connection needs is there. */
  get isReady(): boolean {
    return this.messages.every((cluster) => secretsOf(cluster).every(({ name }) => this.#secrets.has(name)));
  }

  /** A secret of the proxy is there, or another one now. True when connections show another certificate for it. */
  put(secret: Secret): boolean {
    if (!this.messages.some((cluster) => secretsOf(cluster).some(({ name }) => name === secret.name)))
      return false;
    this.#environment.secrets.put(secret.name, '', secret);
    return secret.tlsCertificate !== undefined;
  }

  /** A file that the cluster names was replaced. Returns why it cannot be used, or null. */
  refresh(given: Cluster): string | null {
    const { message, rejection } = this.#secrets.inline('cluster', given, '', true);
    const lines = rejection ?? checkControlPlaneTls(message, allNames(message)).join('\n');
    if (lines !== '') return lines;
    for (const { cluster, tls } of this.#addresses) if (cluster === message.name) tls?.replace(message);
    return null;
  }

  open(path: string, metadata: GrpcMetadata, sink: GrpcStreamSink): GrpcClientStream {
    return this.#all.open(path, metadata, sink);
  }

  /** The next stream gets a new connection. */
  retire(): void {
    for (const { transport } of this.#addresses) transport.retire();
  }
}

/** Where its secrets come from was judged when the proxy started. */
function allNames(cluster: Cluster): string[] {
  return secretsOf(cluster).map(({ name }) => name);
}

function targetsOf(cluster: Cluster): string[] {
  return (cluster.loadAssignment?.endpoints ?? []).flatMap((group) =>
    group.lbEndpoints.flatMap(({ endpoint }) => {
      const { socketAddress, pipe } = endpoint?.address ?? {};
      if (socketAddress !== undefined)
        return [endpointLabel(socketAddress.address, socketAddress.portValue ?? 0)];
      return pipe === undefined ? [] : [`unix:${pipe.path}`];
    }),
  );
}
