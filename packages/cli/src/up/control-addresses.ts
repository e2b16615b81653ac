/**
 * Where the control plane of a local mesh listens: Istio's ports where they are free. One that is taken gives way
 * to a free one, so that two meshes run side by side; one that sluice.yaml names is meant, and taken is an error.
 */
import { createHash } from 'node:crypto';
import type { ControlPorts } from '@sluice/api';
import { cliError } from '../errors.ts';
import type { ControlAddresses } from './control-runner.ts';
import type { CanBind } from './free-port.ts';
import type { PortRange } from './port-book.ts';

/** Ports of sluice.yaml's `ports:` that the control plane listens on. */
export type ControlPort = 'xds' | 'secure' | 'metrics' | 'api';

export interface ChosenAddresses {
  readonly addresses: ControlAddresses;
  /** What gave way, for the user. */
  readonly notices: readonly string[];
}

export interface ChooseAddressesOptions {
  readonly ports: ControlPorts;
  readonly explicit: ReadonlySet<ControlPort>;
  readonly canBind: CanBind;
  /** Where substitutes come from. */
  readonly range: PortRange;
  /** Differs between meshes, so that they look in different places. */
  readonly seed: string;
}

const purposes = {
  xds: 'configuration of proxies',
  secure: 'configuration and certificates over TLS',
  api: 'API and page',
  metrics: 'metrics of the control plane',
} as const;

export function chooseControlAddresses(options: ChooseAddressesOptions): ChosenAddresses {
  const notices: string[] = [];
  const taken = new Set<number>();
  const choose = (name: ControlPort): string => {
    const wanted = options.ports[name];
    const port = options.canBind(wanted) ? wanted : substitute(options, name, taken);
    taken.add(port);
    if (port !== wanted)
      notices.push(`port ${wanted} (${purposes[name]}) is taken by another program: using ${port}`);
    return `127.0.0.1:${port}`;
  };
  const addresses = {
    xds: choose('xds'),
    secure: choose('secure'),
    api: choose('api'),
    metrics: choose('metrics'),
  };
  return { addresses, notices };
}

function substitute(options: ChooseAddressesOptions, name: ControlPort, taken: ReadonlySet<number>): number {
  const { ports, explicit, canBind, range, seed } = options;
  if (explicit.has(name)) {
    throw cliError(
      'port-taken',
      `port ${ports[name]} (${purposes[name]}) is in use: stop what uses it, or change ports.${name} in sluice.yaml`,
    );
  }
  const size = range.to - range.from + 1;
  const start = createHash('sha256').update(`control ${seed}`).digest().readUInt32BE(0) % size;
  for (let step = 0; step < size; step++) {
    const port = range.from + ((start + step) % size);
    if (!taken.has(port) && canBind(port)) return port;
  }
  throw cliError(
    'port-taken',
    `no port is free in ${range.from}-${range.to} for ${purposes[name]}: widen ports.sidecars in sluice.yaml`,
  );
}
