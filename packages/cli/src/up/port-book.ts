/**
 * Ports of every instance, the same after a restart of the mesh as before, because people and scripts remember
 * them: one block of consecutive ports per instance, taken from a range below the system's ephemeral ports. A block
 * of which a port has been taken by somebody else is given up for another.
 *
 * Where in the range to look first comes from the state directory's path, so that two meshes started at the same
 * moment do not reach for the same block.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { writeFileWhole } from '../mesh/state-dir.ts';
import { cliError } from '../errors.ts';
import type { CanBind } from './free-port.ts';

export interface PortRange {
  readonly from: number;
  readonly to: number;
}

/** Below 32768, where Linux begins to hand out ports to outgoing connections. */
export const defaultPortRange: PortRange = { from: 20_000, to: 29_999 };

const firstUnprivileged = 1024;

export interface WantedPort {
  readonly name: string;
  /** The application insists on this one. */
  readonly appPort: number | undefined;
  /** Where others would look for it first; taken when free. */
  readonly preferredInbound: number | undefined;
}

export interface WantedPorts {
  readonly instance: string;
  readonly ports: readonly WantedPort[];
  /** Outbound listeners to leave room for. */
  readonly outboundCount: number;
}

export interface InstancePorts {
  readonly admin: number;
  readonly health: number;
  /** Prometheus' page of the sidecar. */
  readonly metrics: number;
  readonly ports: readonly { readonly name: string; readonly app: number; readonly inbound: number }[];
  /** Both ends included. */
  readonly outbound: readonly [low: number, high: number];
}

/** First port and length of an instance's block; everything else follows from them. */
interface Block {
  readonly first: number;
  readonly length: number;
}

export class PortBook {
  readonly #path: string | undefined;
  readonly #range: PortRange;
  readonly #canBind: CanBind;
  readonly #seed: string;
  readonly #remembered: ReadonlyMap<string, Block>;
  readonly #blocks = new Map<string, Block>();
  readonly #singles = new Set<number>();
  readonly #notices: string[] = [];

  /** Without a path nothing is remembered. */
  constructor(options: { path: string | undefined; range: PortRange; canBind: CanBind; seed: string }) {
    this.#path = options.path;
    this.#range = options.range;
    this.#canBind = options.canBind;
    this.#seed = options.seed;
    this.#remembered = options.path === undefined ? new Map() : readBlocks(options.path);
  }

  /** Throws `port-taken` when the range is used up or an insisted port is in use. */
  plan(all: readonly WantedPorts[]): ReadonlyMap<string, InstancePorts> {
    for (const wanted of all) this.#takeInsisted(wanted);
    for (const wanted of all) this.#keepBlock(wanted);
    const plans = new Map(all.map((wanted) => [wanted.instance, this.#lay(wanted)]));
    if (this.#path !== undefined)
      writeFileWhole(this.#path, `${JSON.stringify(Object.fromEntries(this.#blocks), null, 2)}\n`);
    return plans;
  }

  /** Everything given out, for others not to take. */
  get spans(): readonly (readonly [low: number, high: number])[] {
    const blocks = [...this.#blocks.values()].map(
      ({ first, length }) => [first, first + length - 1] as const,
    );
    return [...blocks, ...[...this.#singles].map((port) => [port, port] as const)];
  }

  /** Preferences that could not be met, for people who look for a port where they wrote it. */
  get notices(): readonly string[] {
    return this.#notices;
  }

  #takeInsisted({ instance, ports }: WantedPorts): void {
    for (const { appPort, name } of ports) {
      if (appPort === undefined) continue;
      const isOurs = this.#singles.has(appPort);
      if (isOurs || !this.#canBind(appPort)) {
        const who = isOurs ? 'another instance' : 'something else';
        throw cliError(
          'port-taken',
          `${instance} wants port ${appPort} (${name}) for itself, but ${who} has it: change targetPort, or leave it out to be given a free one`,
        );
      }
      this.#singles.add(appPort);
    }
  }

  #keepBlock(wanted: WantedPorts): void {
    const block = this.#remembered.get(wanted.instance);
    if (block === undefined || block.length < lengthOf(wanted)) return;
    const isInside = block.first >= this.#range.from && block.first + block.length - 1 <= this.#range.to;
    if (isInside && this.#isFree(block)) this.#blocks.set(wanted.instance, block);
  }

  #lay(wanted: WantedPorts): InstancePorts {
    const block = this.#blocks.get(wanted.instance) ?? this.#findBlock(wanted);
    this.#blocks.set(wanted.instance, block);
    let next = block.first;
    const take = (): number => next++;
    const [admin, health, metrics] = [take(), take(), take()];
    const ports = wanted.ports.map(({ name, appPort, preferredInbound }) => {
      const [app, inbound] = [take(), take()];
      // Who writes 80 means the service's port; nobody expects it on a machine without privileges.
      if (preferredInbound === undefined || preferredInbound < firstUnprivileged)
        return { name, app: appPort ?? app, inbound };
      const hindrance =
        appPort === preferredInbound
          ? 'is the application’s own: its sidecar cannot listen there too'
          : this.#takePreferred(preferredInbound);
      if (hindrance === undefined) return { name, app: appPort ?? app, inbound: preferredInbound };
      this.#notices.push(`port ${preferredInbound} (${wanted.instance}) ${hindrance}: using ${inbound}`);
      return { name, app: appPort ?? app, inbound };
    });
    return { admin, health, metrics, ports, outbound: [next, block.first + block.length - 1] };
  }

  /** Undefined when it was taken, or what hinders that. */
  #takePreferred(port: number): string | undefined {
    if (this.#isTaken(port)) return 'is taken by another instance';
    if (!this.#canBind(port)) return 'is taken by another program';
    this.#singles.add(port);
    return undefined;
  }

  #findBlock(wanted: WantedPorts): Block {
    const { from, to } = this.#range;
    const length = lengthOf(wanted);
    const places = Math.floor((to - from + 1) / length);
    const start =
      places === 0 ? 0 : createHash('sha256').update(this.#seed).digest().readUInt32BE(0) % places;
    for (let step = 0; step < places; step++) {
      const block = { first: from + ((start + step) % places) * length, length };
      if (this.#isFree(block)) return block;
    }
    throw cliError(
      'port-taken',
      `no ${length} free ports in a row are left in ${from}-${to} for ${wanted.instance}: widen ports.sidecars in sluice.yaml`,
    );
  }

  #isFree({ first, length }: Block): boolean {
    for (let port = first; port < first + length; port++) {
      if (this.#isTaken(port) || !this.#canBind(port)) return false;
    }
    return true;
  }

  #isTaken(port: number): boolean {
    if (this.#singles.has(port)) return true;
    for (const { first, length } of this.#blocks.values())
      if (port >= first && port < first + length) return true;
    return false;
  }
}

function lengthOf({ ports, outboundCount }: WantedPorts): number {
  return 3 + ports.length * 2 + outboundCount;
}

/** A file that is missing or damaged remembers nothing. */
function readBlocks(path: string): Map<string, Block> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return new Map();
  }
  if (typeof parsed !== 'object' || parsed === null) return new Map();
  return new Map(Object.entries(parsed).filter((entry): entry is [string, Block] => isBlock(entry[1])));
}

function isBlock(value: unknown): value is Block {
  const block = value as Partial<Block> | null;
  return Number.isInteger(block?.first) && Number.isInteger(block?.length) && (block?.length ?? 0) > 0;
}
