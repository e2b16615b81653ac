/** A registration as a workload's sidecar makes it, for tests of whatever takes or reads one. */
import type { Registration } from '@sluice/api';

/** Of a workload with intercepted traffic and no ports of its own, with Istio's ports for its sidecar. */
export function testRegistration(name: string, changes: Partial<Registration> = {}): Registration {
  return {
    name,
    namespace: 'default',
    serviceAccount: 'default',
    labels: { app: name },
    address: '127.0.0.1',
    interceptionMode: 'REDIRECT',
    ports: [],
    adminPort: 15_000,
    healthPort: 15_021,
    version: '0.1.0',
    ttlMs: 2500,
    ...changes,
  };
}
