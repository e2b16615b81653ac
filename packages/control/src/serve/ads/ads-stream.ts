/**
 * One ADS stream: who is asking (by its token or certificate, never by what its node says), what it should have, what
 * it has said of it. Sessions are pure machines (@sluice/xds); this file gives them bytes and snapshots.
 */
import { GrpcStatus } from '@sluice/wire';
import type { GrpcMetadata, GrpcPeer, GrpcServerStream, GrpcServerStreamSink } from '@sluice/wire';
import { AdsServerSession } from '@sluice/xds';
import type { AdsServerEvent, AdsSnapshot, AdsVariant, Node, TypeStatus } from '@sluice/xds';
import type { Logger } from '@sluice/runtime';
import type { RegisteredInstance } from '../../registry/registry.ts';
import type { ProxyState } from '../../status/proxy-state.ts';
import { shortTypeNames } from './type-names.ts';

/** What a stream needs of the server that holds it. */
export interface AdsStreamHost {
  authenticate(token: string): RegisteredInstance | null;
  /** Which instance a client with a certificate may be, of the one its node names. */
  admit(node: Node, peer: GrpcPeer): AdmittedInstance;
  /** The snapshot for a client, now. */
  snapshot(stream: AdsStream): AdsSnapshot;
  /** Called after every event that changes what the stream's status says. */
  onState(stream: AdsStream, events: readonly AdsServerEvent[]): void;
  onClosed(stream: AdsStream): void;
  readonly wallMs: () => number;
  readonly log: Logger;
}

export type AdmittedInstance =
  | { readonly ok: true; readonly instance: string }
  /** Our own words, for the log and for the client. */
  | { readonly ok: false; readonly reason: string };

/** How a client proved who it is. */
export type AdsProof = 'token' | 'certificate';

export class AdsStream implements GrpcServerStreamSink {
  readonly variant: AdsVariant;
  readonly connectedWallMs: number;
  readonly proof: AdsProof;
  #instance: string;
  readonly #host: AdsStreamHost;
  readonly #stream: GrpcServerStream;
  readonly #session: AdsServerSession;
  #isOpen = true;

  /** `instance`: whose token it showed; null for a certificate, which the node has to fit. */
  constructor(host: AdsStreamHost, stream: GrpcServerStream, variant: AdsVariant, instance: string | null) {
    this.#host = host;
    this.#stream = stream;
    this.#session = new AdsServerSession(variant);
    this.variant = variant;
    this.#instance = instance ?? '';
    this.proof = instance === null ? 'certificate' : 'token';
    this.connectedWallMs = host.wallMs();
  }

  /** As registered when the stream opened; `RegisteredInstance` objects are replaced, the name stays. */
  get instance(): string {
    return this.#instance;
  }

  get peer(): GrpcPeer {
    return this.#stream.peer;
  }

  get node(): Node | undefined {
    return this.#session.node;
  }

  /** Gives the client what it should have now; free when nothing of it changed. */
  push(): void {
    if (!this.#isOpen || !this.#session.node) return;
    this.#session.setSnapshot(this.#host.snapshot(this));
    this.#flush();
  }

  onMessage(bytes: Uint8Array): void {
    if (!this.#isOpen) return;
    const hadNode = this.#session.node !== undefined;
    const events = this.#session.receive(bytes);
    const broken = events.find((event) => event.kind === 'broken');
    if (broken) {
      this.#host.log.warning('stream closed: not a discovery request', {
        instance: this.instance,
        error: broken.error.message,
      });
      this.close(GrpcStatus.invalidArgument, broken.error.code);
      return;
    }
    if (!hadNode && this.#session.node) {
      if (!this.#admit(this.#session.node)) return;
      this.#session.setSnapshot(this.#host.snapshot(this));
    }
    this.#flush();
    this.#host.onState(this, events);
  }

  onHalfClose(): void {
    this.close(GrpcStatus.ok, '');
  }

  onCancelled(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#host.onClosed(this);
  }

  close(code: number, message: string): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#stream.end(code, message);
    this.#host.onClosed(this);
  }

  state(registered: RegisteredInstance | null): ProxyState | null {
    const { node } = this.#session;
    if (!node) return null;
    const registration = registered?.registration;
    return {
      nodeId: node.id,
      instance: this.instance,
      namespace: registration?.namespace ?? '',
      workload: registration?.replicaOf ?? registration?.app ?? registration?.name ?? '',
      version: registration?.version ?? '',
      userAgent: node.userAgentName,
      connectedWallMs: this.connectedWallMs,
      address: this.#stream.peer.address,
      adminPort: registration?.adminPort ?? null,
      protocol: this.variant,
      types: [...this.#session.status()].map(([typeUrl, status]) => ({
        type: shortTypeNames.get(typeUrl) ?? typeUrl,
        state: status.state,
        sentVersion: status.sentVersion,
        ackedVersion: status.ackedVersion,
        error: status.errorDetail,
        nackedResources: [...status.rejected.keys()],
      })),
    };
  }

  /** How far the client is, by type URL; what `status` counts. */
  syncStatus(): ReadonlyMap<string, TypeStatus> {
    return this.#session.status();
  }

  /** The version of a resource that the client has accepted. */
  heldVersion(typeUrl: string, name: string): string | undefined {
    return this.#session.heldVersion(typeUrl, name);
  }

  /** Before anything is served: a certificate must be that of the instance which the node says it is. */
  #admit(node: Node): boolean {
    if (this.proof === 'token') return true;
    const admitted = this.#host.admit(node, this.#stream.peer);
    if (admitted.ok) {
      this.#instance = admitted.instance;
      return true;
    }
    this.#host.log.warning('stream refused', { peer: this.#stream.peer.address, reason: admitted.reason });
    this.close(GrpcStatus.permissionDenied, admitted.reason);
    return false;
  }

  #flush(): void {
    const responses = this.#session.takeResponses();
    for (const [index, response] of responses.entries())
      this.#stream.send(response, index < responses.length - 1);
  }
}

/** The per-instance token of a stream: `authorization: Bearer …`. */
export function bearerToken(metadata: GrpcMetadata): string | null {
  const value = metadata.find(([name]) => name === 'authorization')?.[1];
  return value?.startsWith('Bearer ') ? value.slice('Bearer '.length) : null;
}
