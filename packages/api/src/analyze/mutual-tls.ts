/** PeerAuthentications and the TLS of DestinationRules: what contradicts what, and what has no effect. */
import { isWildcard } from '../hosts.ts';
import { matchesLabels } from '../selector.ts';
import type { DestinationRule, PeerAuthentication, Service } from '../resource-types.ts';
import type { Path } from '../position.ts';
import type { MutualTlsMode } from '../schema/istio/peer-authentication.ts';
import type { ClientTlsSettings, TrafficPolicy } from '../schema/istio/traffic-policy.ts';
import type { World } from './world.ts';

type Labels = Readonly<Record<string, string>>;

export function analyzeMutualTls(world: World): void {
  analyzePolicies(world);
  for (const rule of world.all('networking.istio.io/DestinationRule')) {
    analyzeCredentials(rule, world);
    analyzeNames(rule, world);
    analyzeAgainstPolicies(rule, world);
  }
}

function analyzePolicies(world: World): void {
  const owners = new Map<string, PeerAuthentication>();
  for (const policy of world.all('security.istio.io/PeerAuthentication')) {
    const namespace = world.namespaceOf(policy);
    const labels = selectorOf(policy);
    const isMesh = namespace === world.options.rootNamespace;
    if (isMesh && labels !== null) {
      const message = `a selector has no effect in ${namespace}, whose policies hold for the whole mesh`;
      world.report(
        policy,
        'SL9006',
        'warning',
        ['spec', 'selector'],
        message,
        'put it into the namespace of the workloads',
      );
      continue;
    }
    const claim = JSON.stringify([namespace, labels === null ? null : Object.entries(labels).sort()]);
    const first = owners.get(claim);
    if (first === undefined) owners.set(claim, policy);
    else {
      const message = `${world.nameOf(first)} is older and holds for the same workloads: this one has no effect`;
      world.report(policy, 'SL9005', 'error', ['metadata', 'name'], message, 'keep one of the two');
    }
    if (labels !== null) reportUnmatched(policy, labels, namespace, world);
  }
}

function reportUnmatched(policy: PeerAuthentication, labels: Labels, namespace: string, world: World): void {
  if (!world.canJudgeSelectors()) return;
  const isMatched = world.instances.some(
    (instance) => instance.namespace === namespace && matchesLabels(labels, instance.labels),
  );
  if (isMatched) return;
  const path = ['spec', 'selector', 'matchLabels'];
  world.report(policy, 'SL0127', 'warning', path, 'selects no workload', 'check the labels of the workloads');
}

interface Settings {
  readonly tls: ClientTlsSettings;
  readonly path: Path;
  /** Null = every port that has no settings of its own. */
  readonly port: number | null;
}

/** Every `tls` of a rule, with its place. */
function settingsOf(rule: DestinationRule): Settings[] {
  const of = (policy: TrafficPolicy | undefined, path: Path): Settings[] => [
    ...(policy?.tls === undefined ? [] : [{ tls: policy.tls, path: [...path, 'tls'], port: null }]),
    ...(policy?.portLevelSettings ?? []).flatMap((level, index) =>
      level.tls === undefined
        ? []
        : [
            {
              tls: level.tls,
              path: [...path, 'portLevelSettings', index, 'tls'],
              port: level.port?.number ?? null,
            },
          ],
    ),
  ];
  const { trafficPolicy, subsets } = rule.spec;
  return [
    ...of(trafficPolicy, ['spec', 'trafficPolicy']),
    ...(subsets ?? []).flatMap((subset, index) =>
      of(subset.trafficPolicy, ['spec', 'subsets', index, 'trafficPolicy']),
    ),
  ];
}

function analyzeCredentials(rule: DestinationRule, world: World): void {
  const namespace = world.namespaceOf(rule);
  for (const { tls, path } of settingsOf(rule)) {
    const name = tls.credentialName;
    if (!name || world.find('/Secret', namespace, name)) continue;
    if (tls.mode === 'SIMPLE' && world.find('/Secret', namespace, `${name}-cacert`)) continue;
    world.report(
      rule,
      'SL0101',
      'warning',
      [...path, 'credentialName'],
      `there is no Secret ${name} in namespace ${namespace}: connections fail until there is`,
      `create Secret ${namespace}/${name}`,
    );
  }
}

/** What goes to a wildcard as bytes says nobody's name: any server that the authorities know would do. */
function analyzeNames(rule: DestinationRule, world: World): void {
  if (!isWildcard(rule.spec.host)) return;
  for (const { tls, path } of settingsOf(rule)) {
    const isOriginated = tls.mode === 'SIMPLE' || tls.mode === 'MUTUAL';
    if (!isOriginated || tls.sni || tls.subjectAltNames?.length || tls.insecureSkipVerify === true) continue;
    const message =
      'servers of a wildcard are verified by name for HTTP only: other ports take any that the authorities know';
    world.report(rule, 'SL9008', 'notice', path, message, 'write sni or subjectAltNames');
  }
}

/** Plaintext where only mutual TLS is taken, and the reverse. */
function analyzeAgainstPolicies(rule: DestinationRule, world: World): void {
  const known = isWildcard(rule.spec.host) ? undefined : world.named(rule.spec.host, world.namespaceOf(rule));
  if (known?.source.kind !== 'Service') return;
  const service = known.source as Service;
  const labels = service.spec.selector ?? {};
  for (const { tls, path, port } of settingsOf(rule)) {
    if (tls.mode === undefined) continue;
    const target = (service.spec.ports ?? []).find((one) => one.port === port)?.targetPort ?? port;
    const found = modeOf(known.namespace, labels, typeof target === 'number' ? target : null, world);
    if (found === null) continue;
    const isRefused = tls.mode === 'ISTIO_MUTUAL' ? found.mode === 'DISABLE' : found.mode === 'STRICT';
    if (!isRefused) continue;
    const message = `${tls.mode} is refused by ${known.hostname}, for which ${world.nameOf(found.policy)} says ${found.mode}`;
    const suggestion = tls.mode === 'ISTIO_MUTUAL' ? 'remove tls' : 'remove tls, or use ISTIO_MUTUAL';
    world.report(rule, 'SL0113', 'error', [...path, 'mode'], message, suggestion);
  }
}

/** What holds for the workloads of a service, from the nearest policy that says anything. */
function modeOf(
  namespace: string,
  labels: Labels,
  port: number | null,
  world: World,
): { mode: Exclude<MutualTlsMode, 'UNSET'>; policy: PeerAuthentication } | null {
  const all = world.all('security.istio.io/PeerAuthentication');
  const root = world.options.rootNamespace;
  const inNamespace = (place: string): PeerAuthentication | undefined =>
    all.find((policy) => world.namespaceOf(policy) === place && selectorOf(policy) === null);
  const own = all.find((policy) => {
    const selector = selectorOf(policy);
    return (
      selector !== null &&
      world.namespaceOf(policy) === namespace &&
      namespace !== root &&
      matchesLabels(selector, labels)
    );
  });
  const byPort = port === null ? undefined : own?.spec?.portLevelMtls?.[String(port)]?.mode;
  if (own !== undefined && byPort !== undefined && byPort !== 'UNSET') return { mode: byPort, policy: own };
  for (const policy of [own, inNamespace(namespace), inNamespace(root)]) {
    const mode = policy?.spec?.mtls?.mode;
    if (policy !== undefined && mode !== undefined && mode !== 'UNSET') return { mode, policy };
  }
  return null;
}

/** Null where it selects every workload. */
function selectorOf(policy: PeerAuthentication): Labels | null {
  const labels = policy.spec?.selector?.matchLabels ?? {};
  return Object.keys(labels).length === 0 ? null : labels;
}
