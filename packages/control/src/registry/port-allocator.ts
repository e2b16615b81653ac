/**
 * Local ports for the outbound listeners of instances with interception mode NONE: one per service port, from the
 * range the instance declared, the same for as long as it lives and after every restart, because applications got
 * them in their environment.
 *
 * The first choice is a hash of the service, so that replicas look alike and an allotment that was lost before it
 * reached the disk comes out the same.
 */
import { createHash } from 'node:crypto';
import type { Registration } from '@sluice/api';
import type { PortRow } from './registry-table.ts';

export class PortAllocator {
  readonly #byInstance = new Map<string, InstancePorts>();
  #unwritten: PortRow[] = [];

  restore(rows: readonly PortRow[]): void {
    for (const { instance, service, port, localPort } of rows) {
      const ports = this.#portsOf(instance);
      ports.byService.set(serviceText(service, port), localPort);
      ports.taken.add(localPort);
    }
  }

  portOf(instance: string, service: string, port: number): number | null {
    return this.#byInstance.get(instance)?.byService.get(serviceText(service, port)) ?? null;
  }

  /** The port allotted to a service port, allotted now if need be; null without a range, or when it is used up. */
  allot(instance: string, registration: Registration, service: string, port: number): number | null {
    const range = registration.outboundPortRange;
    if (range === undefined) return null;
    const ports = this.#portsOf(instance);
    const text = serviceText(service, port);
    const known = ports.byService.get(text);
    if (known !== undefined) return known;
    const localPort = findFree(
      range,
      text,
      (candidate) => ports.taken.has(candidate) || isOwn(registration, candidate),
    );
    if (localPort === null) return null;
    ports.byService.set(text, localPort);
    ports.taken.add(localPort);
    this.#unwritten.push({ instance, service, port, localPort });
    return localPort;
  }

  /** True when what was allotted still fits the range and ports an instance registers with now. */
  fits(instance: string, registration: Registration): boolean {
    const [low, high] = registration.outboundPortRange ?? [1, 0];
    for (const port of this.#byInstance.get(instance)?.taken ?? []) {
      if (port < low || port > high || isOwn(registration, port)) return false;
    }
    return true;
  }

  forget(instance: string): void {
    this.#byInstance.delete(instance);
    this.#unwritten = this.#unwritten.filter((row) => row.instance !== instance);
  }

  get hasUnwritten(): boolean {
    return this.#unwritten.length > 0;
  }

  /**
   * Hands over what is not on disk yet; `write` throwing leaves it for the next time. What it returns was allotted
   * before, by another: that stands.
   */
  flush(write: (rows: readonly PortRow[]) => readonly PortRow[]): void {
    if (this.#unwritten.length === 0) return;
    const standing = write(this.#unwritten);
    this.#unwritten = [];
    for (const { instance, service, port } of standing) {
      const ports = this.#portsOf(instance);
      ports.taken.delete(ports.byService.get(serviceText(service, port)) ?? 0);
    }
    this.restore(standing);
  }

  #portsOf(instance: string): InstancePorts {
    let ports = this.#byInstance.get(instance);
    if (ports === undefined)
      this.#byInstance.set(instance, (ports = { byService: new Map(), taken: new Set() }));
    return ports;
  }
}

interface InstancePorts {
  readonly byService: Map<string, number>;
  readonly taken: Set<number>;
}

function serviceText(service: string, port: number): string {
  return `${service}:${port}`;
}

function findFree(
  [low, high]: readonly [number, number],
  text: string,
  isTaken: (port: number) => boolean,
): number | null {
  const size = high - low + 1;
  const start = createHash('sha256').update(text).digest().readUInt32BE(0) % size;
  for (let step = 0; step < size; step++) {
    const port = low + ((start + step) % size);
    if (!isTaken(port)) return port;
  }
  return null;
}

/** Ports of the sidecar and the application themselves may lie in the range. */
function isOwn({ adminPort, healthPort, ports }: Registration, port: number): boolean {
  if (port === adminPort || port === healthPort) return true;
  return ports.some(({ appPort, inboundPort }) => port === appPort || port === inboundPort);
}
