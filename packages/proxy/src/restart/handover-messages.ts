/**
 * What two processes say to each other during a hot restart, one JSON object per line. The new one asks,
 * the old one answers:
 *
 *   hello   ► hello (how many sockets)      versions of the protocol must be equal
 *   sockets ► sockets (keys, descriptors)   again from where the last answer ended, until all are there
 *   live    ► live                          from now on the old one drains
 *
 * Both are of one user, which the kernel vouched for; what comes is still checked, as the other may be of
 * another version.
 */

/** Changes when an older process could not answer a newer one. */
export const HANDOVER_PROTOCOL = 1;

export type HandoverRequest =
  | { readonly type: 'hello'; readonly protocol: number; readonly version: string; readonly epoch: number }
  | { readonly type: 'sockets'; readonly from: number }
  | { readonly type: 'live' };

/** A socket by its listener and what that asks for (`specKey`), and the port it really has. */
export interface SocketName {
  readonly listener: string;
  readonly key: string;
  readonly port: number;
}

export type HandoverAnswer =
  | { readonly type: 'hello'; readonly version: string; readonly epoch: number; readonly sockets: number }
  | { readonly type: 'sockets'; readonly sockets: readonly SocketName[] }
  | { readonly type: 'live' }
  | { readonly type: 'refused'; readonly reason: string };

export function parseHandoverRequest(line: string): HandoverRequest | null {
  const value = parseObject(line);
  if (value === null) return null;
  const { type, protocol, version, epoch, from } = value;
  if (type === 'hello' && isCount(protocol) && typeof version === 'string' && isCount(epoch))
    return { type, protocol, version, epoch };
  if (type === 'sockets' && isCount(from)) return { type, from };
  return type === 'live' ? { type } : null;
}

export function parseHandoverAnswer(line: string): HandoverAnswer | null {
  const value = parseObject(line);
  if (value === null) return null;
  const { type, version, epoch, sockets, reason } = value;
  if (type === 'hello' && typeof version === 'string' && isCount(epoch) && isCount(sockets))
    return { type, version, epoch, sockets };
  if (type === 'sockets' && Array.isArray(sockets) && sockets.every(isSocketName)) return { type, sockets };
  if (type === 'refused' && typeof reason === 'string') return { type, reason };
  return type === 'live' ? { type } : null;
}

function parseObject(line: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isSocketName(value: unknown): value is SocketName {
  const name = value as Partial<SocketName> | null;
  return (
    typeof name === 'object' &&
    name !== null &&
    typeof name.listener === 'string' &&
    typeof name.key === 'string' &&
    isCount(name.port)
  );
}
