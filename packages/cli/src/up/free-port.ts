/** Whether a port can be had, found out by having it for a moment. */

const loopback = '127.0.0.1';

export type CanBind = (port: number) => boolean;

/** True when nobody listens on this port of loopback, or on all addresses. */
export const canBind: CanBind = (port) => {
  try {
    const listener = Bun.listen({ hostname: loopback, port, exclusive: true, socket: { data: () => {} } });
    listener.stop(true);
    return true;
  } catch {
    return false;
  }
};

/** Any port that is free now, from the system's own range. */
export function anyFreePort(): number {
  const listener = Bun.listen({ hostname: loopback, port: 0, exclusive: true, socket: { data: () => {} } });
  const { port } = listener;
  listener.stop(true);
  return port;
}
