/** The sockets a listener asks for: its address and the additional ones. The message has been checked. */
import type { Address, Listener } from '@sluice/xds';
import type { ListenSpec } from './listen-socket.ts';

export function listenSpecs(message: Listener): ListenSpec[] {
  const addresses = [message.address, ...message.additionalAddresses.map((additional) => additional.address)];
  return addresses.filter((address) => address !== undefined).map((address) => specOf(address, message));
}

/** Equal keys may share a socket over an update. */
export function specKey(spec: ListenSpec): string {
  return JSON.stringify([
    spec.address,
    spec.port,
    spec.ipv4Compat,
    spec.transparent,
    spec.freebind,
    spec.mode,
  ]);
}

function specOf(address: Address, message: Listener): ListenSpec {
  return {
    address: address.pipe?.path ?? address.socketAddress?.address ?? '',
    port: address.socketAddress?.portValue ?? 0,
    ipv4Compat: address.socketAddress?.ipv4Compat ?? false,
    transparent: message.transparent ?? false,
    freebind: message.freebind ?? false,
    options: message.socketOptions,
    backlog: message.tcpBacklogSize,
    mode: address.pipe?.mode ?? 0,
  };
}
