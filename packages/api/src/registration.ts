/**
 * What a workload and the control plane say to each other: shared so that neither imports the other. A
 * registration becomes a WorkloadEntry; renewing it changes no resourceVersion. Times are milliseconds, ports
 * are numbers on `address` unless a comment says otherwise.
 */

export type InterceptionMode = 'NONE' | 'REDIRECT' | 'TPROXY';

export interface RegisteredPort {
  /** Kubernetes port name, which also carries the protocol (`http`, `grpc-api`, `tcp`). */
  readonly name: string;
  readonly protocol?: string;
  /** Where the application itself listens, on loopback or on the workload's address. */
  readonly appPort: number;
  /** Where the sidecar listens for others; what goes into endpoints with interception mode NONE. */
  readonly inboundPort: number;
}

export interface Registration {
  readonly name: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly address: string;
  /** `region/zone/subzone`. */
  readonly locality?: string;
  readonly weight?: number;
  readonly network?: string;
  readonly interceptionMode: InterceptionMode;
  readonly ports: readonly RegisteredPort[];
  /** Local ports the control plane may allot for outbound listeners (mode NONE), both ends included. */
  readonly outboundPortRange?: readonly [lo: number, hi: number];
  readonly adminPort: number;
  readonly healthPort: number;
  readonly capabilities?: readonly string[];
  /** Version of the sidecar, `major.minor.patch`. */
  readonly version: string;
  /** How long the registration lives without a renewal. */
  readonly ttlMs: number;
  /** The workload of which this is one of several replicas. */
  readonly replicaOf?: string;
  /** Value of the `app` label where the labels do not carry one; names the workload in metrics. */
  readonly app?: string;
}

/** One service as this instance reaches it with interception mode NONE. */
export interface OutboundBinding {
  readonly service: string;
  readonly namespace: string;
  readonly hostname: string;
  /** Service port. */
  readonly port: number;
  /** Local address and port of the instance's own outbound listener for it. */
  readonly address: string;
  readonly localPort: number;
}

/** An application port that nothing but mutual TLS may reach, by which policy. */
export interface StrictPort {
  readonly appPort: number;
  /** `security.istio.io/PeerAuthentication/default/default` */
  readonly policy: string;
}

export interface RegistrationReply {
  readonly instance: string;
  /** Secret; proves on ADS and on renewals that the caller is this instance. Never logged. */
  readonly token: string;
  /** Node id to announce on ADS. */
  readonly nodeId: string;
  readonly outbound: readonly OutboundBinding[];
  /** Ports under STRICT; whoever runs the application sees to it that its sidecar cannot be bypassed. */
  readonly strictPorts: readonly StrictPort[];
  readonly leaseMs: number;
}

export interface RenewRequest {
  readonly instance: string;
  readonly token: string;
}

export interface RenewReply {
  readonly leaseMs: number;
  /** The health that was told last, as the control plane has it: one that started again may have an older one. */
  readonly isHealthy: boolean;
  readonly outbound: readonly OutboundBinding[];
  readonly strictPorts: readonly StrictPort[];
}

export interface HealthReport {
  readonly instance: string;
  readonly token: string;
  readonly isHealthy: boolean;
  /** What the probe saw, for people: `GET /ready: 503`. */
  readonly reason?: string;
}

export interface DeregisterRequest {
  readonly instance: string;
  readonly token: string;
}
