/** Status of the Gateway API's GatewayClass and Gateway; gateways are taken and do not run yet. */
import type { GatewayClassSpec, GatewayListener, GatewaySpec } from '@sluice/api';
import type { ResourceStore, StoredObject } from '../source/store.ts';
import { acceptedCondition } from './accepted.ts';
import { fieldsOf, listOf, mergeConditions } from './condition.ts';
import type { Condition } from './condition.ts';
import { gatewayApiGroup, isOurClass, isOurGateway } from './gateway-classes.ts';
import type { StatusFacts } from './istio-status.ts';
import { attachedRoutes } from './route-parents.ts';

const pending: Condition = {
  type: 'Programmed',
  status: 'False',
  reason: 'Pending',
  message: 'this version runs no gateways yet',
};

/** Undefined for a class of another controller, which is left alone. */
export function gatewayClassStatus(stored: StoredObject, { time }: StatusFacts): unknown {
  if (!isOurClass((stored.object.spec ?? {}) as GatewayClassSpec)) return undefined;
  const before = fieldsOf(stored.object.status);
  const conditions = [acceptedCondition(stored, 'InvalidParameters')];
  return {
    ...before,
    conditions: mergeConditions(before['conditions'], conditions, stored.generation, time),
  };
}

export function gatewayStatus(stored: StoredObject, store: ResourceStore, { time }: StatusFacts): unknown {
  if (!isOurGateway(store, stored)) return undefined;
  const before = fieldsOf(stored.object.status);
  const { listeners = [] } = (stored.serving?.spec ?? {}) as Partial<GatewaySpec>;
  const present = listOf(before['listeners']);
  return {
    ...before,
    conditions: mergeConditions(
      before['conditions'],
      [acceptedCondition(stored, 'Invalid'), pending],
      stored.generation,
      time,
    ),
    listeners: listeners.map((listener) => ({
      name: listener.name,
      supportedKinds: supportedKinds(listener),
      attachedRoutes: attachedRoutes(store, stored.key, listener),
      conditions: mergeConditions(
        present.find((one) => one['name'] === listener.name)?.['conditions'],
        listenerConditions(listener, listeners),
        stored.generation,
        time,
      ),
    })),
  };
}

function supportedKinds(listener: GatewayListener): { group: string; kind: string }[] {
  const kinds = listener.allowedRoutes?.kinds;
  const route = { group: gatewayApiGroup, kind: 'HTTPRoute' };
  return kinds === undefined || kinds.length === 0 || kinds.some(isHttpRoute) ? [route] : [];
}

function isHttpRoute(kind: { readonly group?: string; readonly kind: string }): boolean {
  return kind.kind === 'HTTPRoute' && (kind.group ?? gatewayApiGroup) === gatewayApiGroup;
}

function listenerConditions(listener: GatewayListener, all: readonly GatewayListener[]): Condition[] {
  const rivals = all.filter((other) => other.port === listener.port && other !== listener);
  const protocolRival = rivals.find((other) => other.protocol !== listener.protocol);
  const hostRival = rivals.find((other) => (other.hostname ?? '') === (listener.hostname ?? ''));
  const rival = protocolRival ?? hostRival;
  const reason = protocolRival ? 'ProtocolConflict' : 'HostnameConflict';
  const conflict = rival
    ? { status: 'True' as const, reason, message: `listener ${rival.name} has the same port` }
    : { status: 'False' as const, reason: 'NoConflicts', message: '' };
  const unknown = (listener.allowedRoutes?.kinds ?? []).filter((kind) => !isHttpRoute(kind));
  const resolved =
    unknown.length > 0
      ? {
          status: 'False' as const,
          reason: 'InvalidRouteKinds',
          message: `not supported: ${unknown.map((one) => one.kind).join(', ')}`,
        }
      : { status: 'True' as const, reason: 'ResolvedRefs', message: '' };
  return [
    rival
      ? { type: 'Accepted', status: 'False', reason, message: conflict.message }
      : { type: 'Accepted', status: 'True', reason: 'Accepted', message: '' },
    { type: 'ResolvedRefs', ...resolved },
    { type: 'Conflicted', ...conflict },
    pending,
  ];
}
