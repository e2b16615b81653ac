/** DestinationRule `tunnel` → TcpProxy.tunneling_config: the service's endpoints are HTTP proxies that lead elsewhere. */
import { isIP } from 'node:net';
import type { TrafficPolicy } from '../model/destination-rule.ts';
import type { ConnectionSettings } from './http-manager.ts';

type TunnelingConfig = NonNullable<ConnectionSettings['tunnelingConfig']>;

/** Percent signs begin operators there; a host has none. */
export function tunnelingConfig(tunnel: NonNullable<TrafficPolicy['tunnel']>): TunnelingConfig {
  const { protocol, targetHost, targetPort } = tunnel;
  const host = isIP(targetHost) === 6 ? `[${targetHost}]` : targetHost;
  return { hostname: `${host}:${targetPort}`, ...(protocol === 'POST' ? { usePost: true } : {}) };
}

/** The tunnel that all have, if they have the same: one filter for several clusters has one for all (SL9014). */
export function commonTunnel(all: readonly (ConnectionSettings | undefined)[]): TunnelingConfig | undefined {
  const [first, ...others] = all.map((settings) => settings?.tunnelingConfig);
  if (first === undefined) return undefined;
  const isCommon = others.every((one) => one?.hostname === first.hostname && one?.usePost === first.usePost);
  return isCommon ? first : undefined;
}
