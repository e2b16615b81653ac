/**
 * Which Secrets a proxy may have, by the namespace that its certificate names and its labels: those that a
 * DestinationRule of the namespace gives its clients (the workloads that it selects, where it selects some), those
 * that a Gateway of the namespace serves with, for the workloads that are this gateway, and those of other namespaces
 * that such a Gateway names and a ReferenceGrant there allows. A Secret that nothing refers to goes to nobody.
 */
import type { KubeObject } from '@sluice/api';

export interface SecretRef {
  readonly namespace: string;
  readonly name: string;
  /** As Istio's sidecars and gateways ask for them. */
  readonly form: 'kubernetes' | 'kubernetes-gateway';
  /** Labels that a workload must have; absent for any of the namespace. */
  readonly selector?: Readonly<Record<string, string>>;
}

/** Of the workloads that are a Gateway of the Gateway API (GEP-1762), by its name. */
const gatewayNameLabel = 'gateway.networking.k8s.io/gateway-name';
/** Labels of Istio's default ingress gateway. */
const defaultGateway = { istio: 'ingressgateway' } as const;

/** Kinds whose changes may change who may have what. */
export const secretKinds: ReadonlySet<string> = new Set([
  '/Secret',
  'networking.istio.io/DestinationRule',
  'networking.istio.io/Gateway',
  'gateway.networking.k8s.io/Gateway',
  'gateway.networking.k8s.io/ReferenceGrant',
]);

export interface IndexedObject {
  readonly group: string;
  readonly object: KubeObject;
}

/** References by namespace of the proxies that may use them. */
export function secretReferences(
  objects: Iterable<IndexedObject>,
): ReadonlyMap<string, readonly SecretRef[]> {
  const all = [...objects];
  const grants = all.filter(({ object }) => object.kind === 'ReferenceGrant');
  const references = new Map<string, SecretRef[]>();
  for (const { group, object } of all) {
    const namespace = object.metadata.namespace ?? 'default';
    const found = referencesOf(group, object, namespace).filter(
      (reference) => reference.namespace === namespace || isGranted(grants, namespace, reference),
    );
    if (found.length > 0) references.set(namespace, [...(references.get(namespace) ?? []), ...found]);
  }
  return references;
}

function referencesOf(
  group: string,
  { kind, metadata, spec }: KubeObject,
  namespace: string,
): readonly SecretRef[] {
  if (kind === 'DestinationRule') {
    const selector = selectorOf(spec);
    return texts(spec, 'credentialName').map((name) =>
      selector === null
        ? { namespace, name, form: 'kubernetes' }
        : { namespace, name, form: 'kubernetes', selector },
    );
  }
  if (kind !== 'Gateway') return [];
  if (group === 'networking.istio.io') {
    const selector = istioGatewaySelector(spec);
    return [...texts(spec, 'credentialName'), ...texts(spec, 'credentialNames')].map((name) => ({
      namespace,
      name,
      form: 'kubernetes-gateway',
      selector,
    }));
  }
  return certificateRefs(spec).map((reference) => ({
    namespace: typeof reference['namespace'] === 'string' ? reference['namespace'] : namespace,
    name: String(reference['name']),
    form: 'kubernetes-gateway',
    selector: { [gatewayNameLabel]: metadata.name },
  }));
}

/** Of Istio's Gateway; one that selects nothing is the default gateway's, and not everybody's. */
function istioGatewaySelector(spec: unknown): Readonly<Record<string, string>> {
  const selector = isRecord(spec) ? spec['selector'] : undefined;
  if (!isRecord(selector) || Object.keys(selector).length === 0) return defaultGateway;
  return asLabels(selector);
}

/** `workloadSelector` of a DestinationRule; null where it applies to all. */
function selectorOf(spec: unknown): Readonly<Record<string, string>> | null {
  const selector = isRecord(spec) ? spec['workloadSelector'] : undefined;
  const labels = isRecord(selector) ? selector['matchLabels'] : undefined;
  if (!isRecord(labels) || Object.keys(labels).length === 0) return null;
  return asLabels(labels);
}

function asLabels(labels: Record<string, unknown>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(labels).map(([name, value]) => [name, String(value)]));
}

/** `certificateRefs` and `caCertificateRefs` of Secrets, wherever they stand in the listeners. */
function certificateRefs(spec: unknown): readonly Record<string, unknown>[] {
  return ['certificateRefs', 'caCertificateRefs']
    .flatMap((field) => values(spec, field))
    .flat()
    .filter(isRecord)
    .filter(
      ({ kind = 'Secret', group = '', name }) =>
        kind === 'Secret' && group === '' && typeof name === 'string',
    );
}

/** Gateway API, ReferenceGrant: stands where the Secret is, and names who may refer to it. */
function isGranted(grants: readonly IndexedObject[], from: string, { namespace, name }: SecretRef): boolean {
  return grants.some(({ object }) => {
    if (object.metadata.namespace !== namespace || !isRecord(object.spec)) return false;
    const { from: sources, to: targets } = object.spec;
    const isSource = records(sources).some(
      (one) =>
        one['group'] === 'gateway.networking.k8s.io' &&
        one['kind'] === 'Gateway' &&
        one['namespace'] === from,
    );
    const isTarget = records(targets).some(
      (one) =>
        (one['group'] ?? '') === '' &&
        one['kind'] === 'Secret' &&
        (one['name'] === undefined || one['name'] === name),
    );
    return isSource && isTarget;
  });
}

/** Texts, and lists of texts, under a field of this name anywhere in a value. */
function texts(value: unknown, field: string): readonly string[] {
  return values(value, field)
    .flat()
    .filter((one): one is string => typeof one === 'string' && one !== '');
}

function values(value: unknown, field: string): readonly unknown[] {
  if (Array.isArray(value)) return value.flatMap((one) => values(one, field));
  if (!isRecord(value)) return [];
  return Object.entries(value).flatMap(([name, inner]) => (name === field ? [inner] : values(inner, field)));
}

function records(value: unknown): readonly Record<string, unknown>[] {
  return Array.isArray(value) ? value.filter(isRecord) : [];
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
