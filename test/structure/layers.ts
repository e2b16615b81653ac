/**
 * The declared structure of the tree: which package may import which, and from where.
 *
 * `layers.test.ts` reads every import (type-only ones included) and checks it against this table.
 * Adding an edge is a decision about the architecture: give its reason in ARCHITECTURE.md.
 */

/** Package → the packages it may import (through `@sluice/<name>` only). */
export const layers: Readonly<Record<string, readonly string[]>> = {
  runtime: [],
  wire: ['runtime'],
  api: ['runtime'],
  xds: ['runtime'],
  identity: ['runtime'],
  proxy: ['runtime', 'wire', 'xds', 'identity'],
  control: ['runtime', 'api', 'xds', 'wire', 'identity'],
  cli: ['runtime', 'api'],
  testkit: ['runtime', 'wire', 'api', 'xds', 'identity'],
};

/** Packages that only tests may import. */
export const testOnly: ReadonlySet<string> = new Set(['testkit']);

/** Sans-I/O packages: (state, bytes, now) → (state, events, bytes). */
export const sansIo: ReadonlySet<string> = new Set(['wire', 'xds']);

/** Modules that a sans-I/O package may not load, and globals it may not name. */
export const ioModules =
  /^(node:(net|tls|http|https|http2|dgram|fs|fs\/promises|timers|child_process|worker_threads)|bun|bun:.*)$/;
export const ioGlobals =
  /\b(setTimeout|setInterval|setImmediate|queueMicrotask|Date\.now|new Date\(|Math\.random|performance\.now|Bun\.)/;

/**
 * Where sockets may be opened; everywhere else the names below are refused. Beside the two places of the
 * design: admin answers by Bun's HTTP server when the data path is what is broken (ADR 0011), and the
 * command line probes the workloads and ports of its own machine.
 */
export const socketPlaces: readonly string[] = [
  'packages/proxy/src/io/',
  'packages/control/src/serve/',
  'packages/proxy/src/admin/server.ts',
  'packages/cli/src/up/free-port.ts',
  'packages/cli/src/up/probe.ts',
  'packages/cli/src/up/probe-grpc.ts',
  'packages/cli/src/up/exposed-ports.ts',
];
/** `isIP`, its kin and `BlockList` of node:net look at text only. */
export const socketUse =
  /\b(?:Bun\.(?:listen|connect|udpSocket|serve)\s*\(|from 'node:(?:tls|http|https|http2|dgram)')|^(?!import \{ (?:(?:isIP(?:v[46])?|BlockList)(?:, )?)+ \}).*from 'node:net'/;

/** Environment and arguments are read here only. */
export const environmentPlaces = /(^|\/)main\.ts$/;
export const environmentUse = /\bprocess\.(env|argv)\b|\bBun\.(env|argv)\b/;

export const maxLines = 500;
