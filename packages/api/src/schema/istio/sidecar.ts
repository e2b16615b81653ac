/** networking.istio.io Sidecar: what a workload sees of the mesh. */
import { z } from 'zod';
import { optional, required } from '../field.ts';
import { port, text, textList } from '../primitives.ts';
import { destination } from './destination.ts';
import { serverTls } from './gateway.ts';
import { connectionPool } from './traffic-policy.ts';
import { workloadSelector } from './workload.ts';

const sidecarPort = z.strictObject({
  number: optional(port, 'Port number'),
  protocol: optional(text, 'Protocol'),
  name: optional(text, 'Port name'),
  targetPort: optional(port, 'Not used', { deprecated: 'remove it' }),
});
const captureMode = z.enum(['DEFAULT', 'IPTABLES', 'NONE']);

export const sidecarSpec = z.strictObject({
  workloadSelector: optional(workloadSelector, 'Workloads it applies to', {
    default: 'all of the namespace',
  }),
  ingress: optional(
    z.array(
      z.strictObject({
        port: required(sidecarPort, 'Port'),
        bind: optional(text, 'Address'),
        captureMode: optional(captureMode, 'How traffic is captured'),
        defaultEndpoint: optional(text, '127.0.0.1:port, 0.0.0.0:port or unix socket of the application'),
        tls: optional(serverTls, 'TLS'),
        connectionPool: optional(connectionPool, 'Limits'),
      }),
    ),
    'Inbound listeners',
  ),
  egress: optional(
    z.array(
      z.strictObject({
        port: optional(sidecarPort, 'Only this port'),
        bind: optional(text, 'Address'),
        captureMode: optional(captureMode, 'How traffic is captured'),
        hosts: required(
          textList.min(1, 'must name at least one host'),
          'Visible hosts as namespace/name: `./*`, `*/*`, `~/*`',
        ),
      }),
    ),
    'Services that the workload sees',
  ),
  inboundConnectionPool: optional(connectionPool, 'Limits of inbound connections'),
  outboundTrafficPolicy: optional(
    z.strictObject({
      mode: optional(z.enum(['REGISTRY_ONLY', 'ALLOW_ANY']), 'What happens to traffic for unknown hosts', {
        default: 'that of the mesh',
      }),
      egressProxy: optional(destination, 'Where unknown traffic goes'),
    }),
    'Traffic to unknown hosts',
  ),
});
export type SidecarSpec = z.infer<typeof sidecarSpec>;
