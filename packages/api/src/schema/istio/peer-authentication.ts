/** security.istio.io PeerAuthentication: which connections a workload takes, mutual TLS or plaintext. */
import { z } from 'zod';
import { optional } from '../field.ts';
import { labelSelectorSimple } from './traffic-policy.ts';

const mutualTls = z.strictObject({
  mode: optional(
    z.enum(['UNSET', 'DISABLE', 'PERMISSIVE', 'STRICT']),
    'STRICT takes mutual TLS only, PERMISSIVE plaintext too, DISABLE plaintext only',
    { default: 'UNSET: what holds for the namespace, then for the mesh, then PERMISSIVE' },
  ),
});

export const peerAuthenticationSpec = z.strictObject({
  selector: optional(labelSelectorSimple, 'Workloads it applies to', { default: 'all of the namespace' }),
  mtls: optional(mutualTls, 'What holds for all ports'),
  portLevelMtls: optional(
    z.record(z.string(), mutualTls),
    'What holds for single ports, by the port number of the workload; needs a selector',
  ),
});
export type PeerAuthenticationSpec = z.infer<typeof peerAuthenticationSpec>;
export type MutualTlsMode = 'UNSET' | 'DISABLE' | 'PERMISSIVE' | 'STRICT';
