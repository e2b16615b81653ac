/**
 * Where an application can be reached past its sidecar: its ports that listen on addresses other than loopback. Linux
 * says so in /proc/net, without asking another program; elsewhere the machine's own addresses are called.
 */
import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';

/** A port with an address that others can call. */
export interface ExposedPort {
  readonly port: number;
  readonly address: string;
}

export type FindExposed = (ports: readonly number[]) => Promise<readonly ExposedPort[]>;

/** State of a listening socket in /proc/net/tcp (TCP_LISTEN of the kernel). */
const listening = '0A';
const connectTimeoutMs = 500;

export const findExposed: FindExposed = async (ports) => {
  if (ports.length === 0) return [];
  const tables = ['/proc/net/tcp', '/proc/net/tcp6'].map(readTable);
  return tables[0] === null
    ? callOwnAddresses(ports)
    : exposedIn(
        tables.map((table) => table ?? ''),
        ports,
      );
};

/** `/proc/net/tcp` and `/proc/net/tcp6`: listening sockets of the ports that are not bound to loopback. */
export function exposedIn(tables: readonly string[], ports: readonly number[]): ExposedPort[] {
  const found = new Map<string, ExposedPort>();
  for (const line of tables.join('\n').split('\n')) {
    const [, local = '', , state] = line.trim().split(/\s+/);
    const [hexAddress = '', hexPort = ''] = local.split(':');
    const port = parseInt(hexPort, 16);
    if (state !== listening || !ports.includes(port)) continue;
    const address = readAddress(hexAddress);
    if (address !== null && !isLoopback(address)) found.set(`${address} ${port}`, { port, address });
  }
  return [...found.values()];
}

function readTable(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // Not Linux, or without IPv6.
    return null;
  }
}

/** Each word of four bytes is in the machine's order, little-endian on every platform this runs on. */
function readAddress(hex: string): string | null {
  if (hex.length !== 8 && hex.length !== 32) return null;
  const bytes = (hex.match(/.{8}/g) ?? []).flatMap((word) =>
    (word.match(/../g) ?? []).toReversed().map((byte) => parseInt(byte, 16)),
  );
  if (bytes.length === 4) return bytes.join('.');
  const isMapped = bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 255 && bytes[11] === 255;
  if (isMapped) return bytes.slice(12).join('.');
  const groups = Array.from({ length: 8 }, (_, index) =>
    (((bytes[index * 2] ?? 0) << 8) | (bytes[index * 2 + 1] ?? 0)).toString(16),
  );
  if (groups.every((group) => group === '0')) return '::';
  return groups.slice(0, 7).every((group) => group === '0') && groups[7] === '1' ? '::1' : groups.join(':');
}

function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.');
}

async function callOwnAddresses(ports: readonly number[]): Promise<ExposedPort[]> {
  const addresses = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .filter((one) => !one.internal && one.family === 'IPv4')
    .map((one) => one.address);
  const calls = addresses.flatMap((address) =>
    ports.map(async (port) => ((await accepts(address, port)) ? [{ port, address }] : [])),
  );
  return (await Promise.all(calls)).flat();
}

async function accepts(hostname: string, port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), connectTimeoutMs);
  const connecting = Bun.connect({
    hostname,
    port,
    socket: {
      open: (socket) => {
        socket.end();
        resolve(true);
      },
      data: () => {},
      connectError: () => resolve(false),
    },
  });
  connecting.catch(() => resolve(false));
  const result = await promise;
  clearTimeout(timer);
  return result;
}
