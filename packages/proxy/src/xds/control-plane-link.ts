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
import { controlPlaneTls } from './control-plane-tls.ts';
import { rotatingTransport } from './rotating-transport.ts';

export class ControlPlaneLink implements GrpcStreamTransport {
  readonly #clusters: readonly Cluster[];
  readonly #secrets: Pick<SecretActivation, 'has' | 'inline'>;
  readonly #transports: readonly ClientTransport[];
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
    this.#clusters = (bootstrap.staticResources?.clusters ?? [])
      .filter(({ name }) => names.has(name))
      .map((cluster) => secrets.inline('cluster', cluster, '', true).message);
    this.#transports = this.#clusters.flatMap((cluster) =>
      targetsOf(cluster).map((target) =>
        connect(target, controlPlaneTls(cluster, target, this.#environment)),
      ),
    );
    this.#all = rotatingTransport(this.#transports);
  }

  get isSecured(): boolean {
    return this.#clusters.some(({ transportSocket }) => transportSocket !== undefined);
  }

  /** Every certificate and trust bundle that the connection needs is there. */
  get isReady(): boolean {
    return this.#clusters.every((cluster) => secretsOf(cluster).every(({ name }) => this.#secrets.has(name)));
  }

  /** A secret of the proxy is there, or another one now. */
  put(secret: Secret): void {
    if (!this.isSecured) return;
    this.#environment.secrets.put(secret.name, '', secret);
  }

  open(path: string, metadata: GrpcMetadata, sink: GrpcStreamSink): GrpcClientStream {
    return this.#all.open(path, metadata, sink);
  }

  /** The next stream gets a new connection. */
  retire(): void {
    for (const transport of this.#transports) transport.retire();
  }
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
