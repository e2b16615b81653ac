/**
 * Who may call whom, and how the connection is secured: from configuration, for every workload with a sidecar and
 * every service it sees. The same decisions as in translation, put into words (`sluice status --edges`, the page).
 */
import { formatKey } from '@sluice/api';
import type { ResourceKey } from '@sluice/api';
import { applicationPort, hasLabels, resolvePort } from '../model/instance.ts';
import type { Instance } from '../model/instance.ts';
import type { MergedRule } from '../model/destination-rule.ts';
import type { MeshModel } from '../model/mesh-model.ts';
import { modeOfPort, originOfPort } from '../model/peer-authentication.ts';
import type { MeshService, MeshServicePort } from '../model/service.ts';
import { effectivePolicy, subsetLabels } from '../translate/clusters.ts';
import { isAutomatic } from '../translate/upstream-tls.ts';

/** `refused`: the client sends what the server does not take. `mixed`: endpoints differ. */
export type EdgeSecurity = 'mutual-tls' | 'tls' | 'plaintext' | 'mixed' | 'refused' | 'none';

export interface Edge {
  /** `account`: as whom its certificate says it calls. */
  readonly client: { readonly workload: string; readonly namespace: string; readonly account: string };
  readonly service: string;
  readonly port: number;
  /** Empty for the service as a whole. */
  readonly subset: string;
  readonly security: EdgeSecurity;
  readonly reason: string;
}

/** A workload as a client: all its instances see and do the same. */
export interface EdgeClient {
  readonly workload: string;
  readonly namespace: string;
  readonly account: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly knowsTls: boolean;
  readonly services: readonly MeshService[];
}

interface Hop {
  readonly security: Exclude<EdgeSecurity, 'mixed' | 'none'>;
  readonly reason: string;
}

export function edgesOf(model: MeshModel, clients: Iterable<EdgeClient>, autoMtls: boolean): Edge[] {
  return [...clients].flatMap((client) =>
    client.services.flatMap((service) => {
      const rule = model.rule(service, client);
      return service.ports
        .filter((port) => port.protocol !== 'udp')
        .flatMap((port) =>
          ['', ...subsetsApart(rule, port.number)].map((subset) =>
            edgeOf(model, client, { service, port, rule, subset }, autoMtls),
          ),
        );
    }),
  );
}

interface EdgeTarget {
  readonly service: MeshService;
  readonly port: MeshServicePort;
  readonly rule: MergedRule | null;
  readonly subset: string;
}

/** A subset is an edge of its own where its TLS is another than the service's; a port's own settings take it away. */
function subsetsApart(rule: MergedRule | null, port: number): string[] {
  const tlsOf = (subset: string) => effectivePolicy(rule, subset, port).tls;
  return (rule?.subsets ?? []).map(({ spec }) => spec.name).filter((name) => tlsOf(name) !== tlsOf(''));
}

function edgeOf(model: MeshModel, client: EdgeClient, target: EdgeTarget, autoMtls: boolean): Edge {
  const { service, port, subset } = target;
  const { workload, namespace, account } = client;
  return {
    client: { workload, namespace, account },
    service: service.hostname,
    port: port.number,
    subset,
    ...summarize(hopsOf(model, client, target, autoMtls)),
  };
}

/** One for each endpoint; endpoints that say the same count once. */
function hopsOf(model: MeshModel, client: EdgeClient, target: EdgeTarget, autoMtls: boolean): Hop[] {
  const { service, port, rule, subset } = target;
  const { tls } = effectivePolicy(rule, subset, port.number);
  const written = rule?.sources[0]?.key ?? null;
  const labels = subsetLabels(rule, subset);
  const sent: Sent = !client.knowsTls
    ? { kind: 'plaintext', reason: `the sidecar of ${client.workload} does not speak TLS` }
    : tls?.mode !== undefined
      ? sentByRule(tls.mode, written)
      : isAutomatic(service, tls, { autoMtls })
        ? { kind: 'automatic', reason: 'automatic' }
        : { kind: 'plaintext', reason: autoMtls ? outside(service) : 'meshConfig.enableAutoMtls is false' };
  const policies = model.endpointTls(service).policies;
  const hops = model.instancesOf(service).flatMap((instance, index): Hop[] => {
    const number = resolvePort(instance, port);
    const policy = policies[index];
    if (number === null || !policy || !hasLabels(labels, instance.labels)) return [];
    const appPort = applicationPort(instance, number);
    const taken = { mode: modeOfPort(policy, appPort), origin: originOfPort(policy, appPort) };
    return [hopTo(sent, instance, taken)];
  });
  const inline = service.inlineEndpoints
    .filter((endpoint) => hasLabels(labels, endpoint.labels))
    .map((endpoint): Hop => withoutPolicy(sent, endpoint.takesMutualTls));
  return [...hops, ...inline];
}

/** What the client begins a connection with. */
interface Sent {
  readonly kind: 'automatic' | 'mesh' | 'tls' | 'plaintext';
  readonly reason: string;
}

function sentByRule(
  mode: 'DISABLE' | 'SIMPLE' | 'MUTUAL' | 'ISTIO_MUTUAL',
  origin: ResourceKey | null,
): Sent {
  const reason = `${origin ? formatKey(origin) : 'DestinationRule'} says ${mode}`;
  if (mode === 'ISTIO_MUTUAL') return { kind: 'mesh', reason };
  return { kind: mode === 'DISABLE' ? 'plaintext' : 'tls', reason };
}

function outside(service: MeshService): string {
  return service.isExternal
    ? `${service.hostname} is outside the mesh and no DestinationRule sets tls`
    : `${service.hostname} has no endpoints of its own`;
}

interface Taken {
  readonly mode: 'DISABLE' | 'PERMISSIVE' | 'STRICT';
  readonly origin: ResourceKey | null;
}

function hopTo(sent: Sent, instance: Instance, taken: Taken): Hop {
  const { mode, origin } = taken;
  const policy = origin ? `${formatKey(origin)} is ${mode}` : `${mode} is the default`;
  if (!instance.takesMutualTls) {
    const reason = instance.hasSidecar
      ? `the sidecar of ${instance.workload} does not speak TLS`
      : `${instance.workload} has no sidecar`;
    return sent.kind === 'mesh'
      ? { security: 'refused', reason: `${sent.reason}, but ${reason}` }
      : withoutPolicy(sent, false, reason);
  }
  switch (sent.kind) {
    case 'automatic':
      return mode === 'DISABLE'
        ? { security: 'plaintext', reason: policy }
        : { security: 'mutual-tls', reason: policy };
    case 'mesh':
      return mode === 'DISABLE'
        ? { security: 'refused', reason: `${sent.reason}, but ${policy}` }
        : { security: 'mutual-tls', reason: sent.reason };
    case 'tls':
      return mode === 'STRICT'
        ? {
            security: 'refused',
            reason: `${sent.reason}, but ${policy} and takes the mesh's certificates only`,
          }
        : { security: 'tls', reason: sent.reason };
    case 'plaintext':
      return mode === 'STRICT'
        ? { security: 'refused', reason: `${sent.reason}, but ${policy}` }
        : { security: 'plaintext', reason: sent.reason };
  }
}

/** Endpoints that no policy of ours reaches. */
function withoutPolicy(
  sent: Sent,
  takesMutualTls: boolean,
  why = 'its endpoints do not say that they take it',
): Hop {
  switch (sent.kind) {
    case 'automatic':
      return takesMutualTls
        ? { security: 'mutual-tls', reason: 'its endpoints say that they take it' }
        : { security: 'plaintext', reason: why };
    case 'mesh':
      return { security: 'mutual-tls', reason: sent.reason };
    case 'tls':
    case 'plaintext':
      return { security: sent.kind, reason: sent.reason };
  }
}

function summarize(hops: readonly Hop[]): { security: EdgeSecurity; reason: string } {
  const distinct = new Map(hops.map((hop) => [`${hop.security} ${hop.reason}`, hop]));
  const all = [...distinct.values()];
  const [first] = all;
  if (first === undefined) return { security: 'none', reason: 'no endpoints' };
  const isMixed = all.some((hop) => hop.security !== first.security);
  const reasons = all.map((hop) => (isMixed ? `${words[hop.security]}: ${hop.reason}` : hop.reason));
  return { security: isMixed ? 'mixed' : first.security, reason: reasons.sort().join('; ') };
}

const words: Readonly<Record<Hop['security'], string>> = {
  'mutual-tls': 'mutual TLS',
  tls: 'TLS',
  plaintext: 'plaintext',
  refused: 'refused',
};
