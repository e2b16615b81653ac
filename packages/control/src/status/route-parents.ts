/** HTTPRoute status: one entry per parent that is ours, beside those of other controllers. */
import type { GatewayListener, GatewaySpec, HttpRouteSpec, ParentReference, ResourceKey } from '@sluice/api';
import { formatKey, hostsOverlap, matches, selectorOf } from '@sluice/api';
import type { MeshModel } from '../model/mesh-model.ts';
import { readHttpRoute } from '../model/read-http-route.ts';
import { attachesTo } from '../model/route-index.ts';
import type { ResourceStore, StoredObject } from '../source/store.ts';
import { resolveBackend } from '../translate/compile-rules.ts';
import { acceptedCondition } from './accepted.ts';
import { fieldsOf, listOf, mergeConditions } from './condition.ts';
import type { Condition } from './condition.ts';
import { gatewayApiGroup, gatewayController, isOurGateway } from './gateway-classes.ts';
import type { StatusFacts } from './istio-status.ts';
import { programmedCondition } from './programmed.ts';
import { resolvedCondition } from './references.ts';
import type { Unresolved } from './references.ts';

export function httpRouteStatus(stored: StoredObject, store: ResourceStore, facts: StatusFacts): unknown {
  const before = fieldsOf(stored.object.status);
  const present = listOf(before['parents']);
  const foreign = present.filter((parent) => parent['controllerName'] !== gatewayController);
  const spec = (stored.object.spec ?? {}) as HttpRouteSpec;
  const resolved = resolvedCondition(unresolvedBackends(stored, facts.model));
  const ours = (spec.parentRefs ?? []).flatMap((ref) => {
    const attachment = attach(stored, ref, store, facts.model);
    if (!attachment) return [];
    const parentRef = parentReference(ref);
    const known = present.find(
      (parent) =>
        parent['controllerName'] === gatewayController &&
        JSON.stringify(parent['parentRef']) === JSON.stringify(parentRef),
    );
    const accepted = acceptedCondition(stored, 'UnsupportedValue');
    const conditions = [
      accepted.status === 'False' ? accepted : attachment,
      resolved,
      ...programmed(stored, ref, attachment, facts),
    ];
    return [
      {
        parentRef,
        controllerName: gatewayController,
        conditions: mergeConditions(known?.['conditions'], conditions, stored.generation, facts.time),
      },
    ];
  });
  return { ...before, parents: [...ours, ...foreign] };
}

/** How many routes a Gateway's listener has. */
export function attachedRoutes(
  store: ResourceStore,
  gateway: ResourceKey,
  listener: GatewayListener,
): number {
  return store.list(gatewayApiGroup, 'HTTPRoute').filter((route) => {
    const { parentRefs = [] } = (route.serving?.spec ?? {}) as HttpRouteSpec;
    return parentRefs.some(
      (ref) =>
        isGatewayRef(ref) &&
        ref.name === gateway.name &&
        (ref.namespace ?? route.key.namespace) === gateway.namespace &&
        refusalOf(route, ref, listener, gateway.namespace, store) === null,
    );
  }).length;
}

function parentReference(ref: ParentReference): Record<string, unknown> {
  return { group: ref.group ?? gatewayApiGroup, kind: ref.kind ?? 'Gateway', ...ref };
}

function isGatewayRef(ref: ParentReference): boolean {
  return (ref.kind ?? 'Gateway') === 'Gateway' && (ref.group ?? gatewayApiGroup) === gatewayApiGroup;
}

/** The Accepted condition for a parent, or null for one that belongs to another controller. */
function attach(
  stored: StoredObject,
  ref: ParentReference,
  store: ResourceStore,
  model: MeshModel,
): Condition | null {
  const namespace = ref.namespace ?? stored.key.namespace;
  if (isGatewayRef(ref)) return attachToGateway(stored, ref, namespace, store);
  if (ref.kind !== 'Service' || (ref.group ?? '') !== '') return null;
  const service = model.services.get(
    `${namespace}/${ref.name}.${namespace}.svc.${model.options.clusterDomain}`,
  );
  if (!service) return refused('NoMatchingParent', `Service ${namespace}/${ref.name} does not exist`);
  const target = model.concrete(service, namespace);
  if (target !== service) {
    const message = `Service ${namespace}/${ref.name} is an alias of ${target.hostname}, whose routes hold for it`;
    return refused('NoMatchingParent', message);
  }
  const source = model.httpRoutes.get(formatKey(stored.key));
  const narrowed = source && {
    ...source,
    parents: source.parents.filter((one) => sameParent(one, ref, namespace)),
  };
  if (narrowed && !service.ports.some((port) => attachesTo(narrowed, service, port)))
    return refused('NoMatchingParent', `Service ${namespace}/${ref.name} has no such port`);
  return accepted('the route is attached to the Service');
}

function sameParent(
  parent: { readonly service: string; readonly port: number | null; readonly sectionName: string | null },
  ref: ParentReference,
  namespace: string,
): boolean {
  return (
    parent.service === `${namespace}/${ref.name}` &&
    parent.port === (ref.port ?? null) &&
    parent.sectionName === (ref.sectionName ?? null)
  );
}

function attachToGateway(
  stored: StoredObject,
  ref: ParentReference,
  namespace: string,
  store: ResourceStore,
): Condition | null {
  const gateway = store.get({ group: gatewayApiGroup, kind: 'Gateway', namespace, name: ref.name });
  if (!gateway) return refused('NoMatchingParent', `Gateway ${namespace}/${ref.name} does not exist`);
  if (!isOurGateway(store, gateway)) return null;
  const { listeners = [] } = (gateway.serving?.spec ?? {}) as Partial<GatewaySpec>;
  const refusals = new Set(listeners.map((listener) => refusalOf(stored, ref, listener, namespace, store)));
  if (refusals.has(null)) return accepted('the route is attached to the Gateway');
  // The refusal that came closest to attaching is the one to act on.
  const order = ['NotAllowedByListeners', 'NoMatchingListenerHostname', 'NoMatchingParent'];
  const reason = order.find((one) => refusals.has(one)) ?? 'NoMatchingParent';
  const words: Readonly<Record<string, string>> = {
    NotAllowedByListeners: `no listener of Gateway ${namespace}/${ref.name} allows routes of this namespace and kind`,
    NoMatchingListenerHostname: `no listener of Gateway ${namespace}/${ref.name} has a hostname of the route`,
    NoMatchingParent: `Gateway ${namespace}/${ref.name} has no such listener`,
  };
  return refused(reason, words[reason] ?? '');
}

/** Why a listener does not take a route, or null when it does. */
function refusalOf(
  route: StoredObject,
  ref: ParentReference,
  listener: GatewayListener,
  gatewayNamespace: string,
  store: ResourceStore,
): string | null {
  if (ref.sectionName !== undefined && ref.sectionName !== listener.name) return 'NoMatchingParent';
  if (ref.port !== undefined && ref.port !== listener.port) return 'NoMatchingParent';
  const allowed = listener.allowedRoutes;
  const kinds = allowed?.kinds ?? [];
  const takesKind =
    kinds.length === 0 ||
    kinds.some((one) => one.kind === 'HTTPRoute' && (one.group ?? gatewayApiGroup) === gatewayApiGroup);
  if (!takesKind || !allowsNamespace(allowed, route.key.namespace, gatewayNamespace, store))
    return 'NotAllowedByListeners';
  const { hostnames = [] } = (route.serving?.spec ?? {}) as HttpRouteSpec;
  const host = listener.hostname;
  const isServed = !host || hostnames.length === 0 || hostnames.some((one) => hostsOverlap(one, host));
  return isServed ? null : 'NoMatchingListenerHostname';
}

function allowsNamespace(
  allowed: GatewayListener['allowedRoutes'],
  namespace: string,
  own: string,
  store: ResourceStore,
): boolean {
  const { from = 'Same', selector } = allowed?.namespaces ?? {};
  if (from === 'All') return true;
  if (from === 'Same') return namespace === own;
  if (from === 'None' || selector === undefined) return false;
  const object = store.get({ group: '', kind: 'Namespace', namespace: '', name: namespace })?.object;
  // Namespaces exist by being used; the label with the name is the one that every namespace has.
  const labels = { 'kubernetes.io/metadata.name': namespace, ...object?.metadata.labels };
  return matches(selectorOf(selector), labels);
}

function unresolvedBackends(stored: StoredObject, model: MeshModel): Unresolved[] {
  const source = model.httpRoutes.get(formatKey(stored.key));
  if (!source) return [];
  const problems: Unresolved[] = [];
  readHttpRoute(source.spec, source.key, source.createdMs, (ref) => {
    const found = resolveBackend(model, source, ref);
    if (found.problem) problems.push(found.problem);
    return found;
  });
  return problems;
}

/** Only what is attached to a Service reaches proxies so far. */
function programmed(
  { key }: StoredObject,
  ref: ParentReference,
  attachment: Condition,
  { progress }: StatusFacts,
): Condition[] {
  if (attachment.status === 'False') return [];
  if (!isGatewayRef(ref)) return [programmedCondition(progress.get(formatKey(key)))];
  const message = 'this version runs no gateways yet';
  return [{ type: 'Programmed', status: 'False', reason: 'Pending', message }];
}

function accepted(message: string): Condition {
  return { type: 'Accepted', status: 'True', reason: 'Accepted', message };
}

function refused(reason: string, message: string): Condition {
  return { type: 'Accepted', status: 'False', reason, message };
}
