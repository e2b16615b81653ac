/** What is decided of an instance before it runs, and how the registry is told of it. */
import type { Registration, SluiceWorkload } from '@sluice/api';
import type { ChosenCommand } from './choose-command.ts';
import type { InstancePorts } from './port-book.ts';

export interface InstancePlan {
  /** `reviews-v1`, or `reviews-v1-0` where there are several. */
  readonly name: string;
  readonly workload: SluiceWorkload;
  readonly command: ChosenCommand;
  readonly ports: InstancePorts;
}

export interface SidecarFacts {
  readonly version: string;
  readonly leaseMs: number;
}

/** What our proxy can do beyond Envoy, so that the control plane emits it. */
export const capabilities = [
  'sluice.dev/method-aware-retry',
  'sluice.dev/forward-proxy',
  'sluice.dev/vhds',
  'sluice.dev/tls',
  'sluice.dev/http2',
  'sluice.dev/system-roots',
];

export function toRegistration({ name, workload, ports }: InstancePlan, sidecar: SidecarFacts): Registration {
  const { hasSidecar, locality } = workload;
  return {
    name,
    namespace: workload.namespace,
    serviceAccount: workload.serviceAccount,
    labels: hasSidecar ? workload.labels : { ...workload.labels, 'sidecar.istio.io/inject': 'false' },
    address: '127.0.0.1',
    interceptionMode: 'NONE',
    ports: ports.ports.map((port, index) => ({
      name: port.name,
      protocol: workload.ports[index]?.protocol ?? 'http',
      appPort: port.app,
      inboundPort: hasSidecar ? port.inbound : port.app,
    })),
    outboundPortRange: ports.outbound,
    adminPort: ports.admin,
    healthPort: ports.health,
    capabilities: hasSidecar ? capabilities : [],
    version: sidecar.version,
    ttlMs: sidecar.leaseMs,
    replicaOf: workload.name,
    weight: workload.weight,
    ...(locality === undefined ? {} : { locality }),
  };
}

/** Where others reach it: through its sidecar. */
export function describeAddress({ workload, ports }: InstancePlan): string {
  const [first] = ports.ports;
  if (first === undefined) return '';
  const scheme = workload.ports[0]?.protocol.startsWith('http') === true ? 'http://' : '';
  return `at ${scheme}127.0.0.1:${workload.hasSidecar ? first.inbound : first.app}`;
}
