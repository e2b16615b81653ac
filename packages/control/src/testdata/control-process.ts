/** A control plane in a process of its own, without model and ADS: says its addresses, then serves until it ends. */
import { parseControlArgs } from '../control-args.ts';
import { runControl } from '../main.ts';
import type { CreateMeshServing } from '../serve/mesh-serving.ts';

const serving: CreateMeshServing = () => ({
  proxies: { proxies: new Map(), subscribe: () => () => {} },
  services: () => [],
  edges: () => [],
  outboundServices: () => [],
  strictPorts: () => [],
  updateSettings: () => {},
  hasReachedAll: () => true,
  listen: () => Promise.resolve({ xds: '127.0.0.1:15010', secure: '127.0.0.1:15012' }),
  close: () => Promise.resolve(),
});

const parsed = parseControlArgs(process.argv.slice(2));
if (!parsed.ok) throw new Error(parsed.message);
process.exit(await runControl(parsed.args, { version: '0.1.0', serving }));
