/** What the proxy answers by itself because the route says so, or because there is no route. */
import { localReply } from '../../http/reply.ts';
import type { LocalReply } from '../filter.ts';
import { redirectLocation } from './rewrite.ts';
import type { RouterHost } from './router-host.ts';

/** Null: the request is to be forwarded. */
export function answerOfRoute(host: RouterHost): LocalReply | null {
  const { route, message } = host;
  if (route === null)
    return host.hasRouteTable ? localReply('route-not-found', 'route_not_found') : tableMissing(host);
  const action = route.action;
  switch (action.kind) {
    case 'redirect':
      return localReply('redirect', 'direct_response', {
        status: action.status,
        headers: [['location', redirectLocation(action, message, message.path)]],
        headerOperations: route.responseHeaders,
      });
    case 'direct':
      return localReply('direct-response', 'direct_response', {
        status: action.status,
        body: { bytes: action.body ?? EMPTY, contentType: 'text/plain' },
        headerOperations: route.responseHeaders,
      });
    case 'forward':
      return message.upgrade === '' || isAllowed(host)
        ? null
        : localReply('upgrade-refused', 'upgrade_failed');
  }
}

const EMPTY = new Uint8Array(0);

function tableMissing(host: RouterHost): LocalReply {
  return localReply('route-table-missing', 'route_not_found', {
    detail: `The route table ${host.routeTableName} has not arrived.`,
  });
}

/** The route's word counts before the listener's. */
function isAllowed(host: RouterHost): boolean {
  const { route, message, allowedUpgrades } = host;
  const ofRoute = route?.action.kind === 'forward' ? route.action.upgrades?.get(message.upgrade) : undefined;
  return ofRoute ?? allowedUpgrades.get(message.upgrade) ?? false;
}
