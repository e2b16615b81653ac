/**
 * The vocabulary of the grid. A section is one listener with one route table and the requests sent to it;
 * everything in it is plain data in Envoy's own field names, so that what a case means can be looked up in
 * Envoy's documentation.
 */

export type Json = Readonly<Record<string, unknown>>;

/** One thing the client does on its connection; the next begins when this one's responses have come. */
export interface Step {
  /** Bytes, Latin-1. */
  readonly send: string;
  /** How many responses these bytes ask for (pipelining). Default 1. */
  readonly responses?: number;
  /** Sent once a 100 (Continue) has come; not sent when a final response comes instead. */
  readonly afterContinue?: string;
  /** Sent once a 101 or a tunnel's 200 has come; as many bytes are then read back. */
  readonly tunnel?: string;
  /** Resets the connection after sending, and reads nothing. */
  readonly thenReset?: true;
  /** Ends the sending side after sending, and reads on. */
  readonly thenEnd?: true;
}

export interface Case {
  /** Unique within its section. */
  readonly name: string;
  readonly steps: readonly Step[];
}

export interface Section {
  readonly name: string;
  /** RouteConfiguration without its name. */
  readonly routes: Json;
  /** Laid over the HTTP connection manager that every section has. */
  readonly manager?: Json;
  readonly cases: readonly Case[];
}

export interface RequestParts {
  readonly method?: string;
  readonly host?: string;
  readonly headers?: readonly (readonly [name: string, value: string])[];
  /** Sent with its Content-Length. */
  readonly body?: string;
  /** What the origin shall do (`origins.ts`). */
  readonly script?: string;
  readonly version?: string;
}

/** The bytes of a well-formed request. */
export function request(target: string, parts: RequestParts = {}): string {
  const { method = 'GET', host = 'any.test', headers = [], body, script, version = 'HTTP/1.1' } = parts;
  const lines = [`${method} ${target} ${version}`, `Host: ${host}`];
  if (script !== undefined) lines.push(`x-script: ${script}`);
  for (const [name, value] of headers) lines.push(`${name}: ${value}`);
  if (body !== undefined) lines.push(`Content-Length: ${Buffer.byteLength(body, 'latin1')}`);
  return `${lines.join('\r\n')}\r\n\r\n${body ?? ''}`;
}

export function sends(name: string, target: string, parts: RequestParts = {}): Case {
  return { name, steps: [{ send: request(target, parts) }] };
}

export function sendsRaw(name: string, ...steps: readonly (Step | string)[]): Case {
  return { name, steps: steps.map((step) => (typeof step === 'string' ? { send: step } : step)) };
}

/** A route table whose only virtual host takes every domain. */
export function anyHost(routes: readonly Json[], host: Json = {}, table: Json = {}): Json {
  return { ...table, virtual_hosts: [{ name: 'any', domains: ['*'], routes, ...host }] };
}

/** A route that forwards to `cluster`. */
export function forwards(
  name: string,
  match: Json,
  cluster: string,
  action: Json = {},
  route: Json = {},
): Json {
  return { name, match, route: { cluster, ...action }, ...route };
}

/** Everything goes to `alpha`. */
export const catchAll: Json = forwards('catch-all', { prefix: '/' }, 'alpha');

/**
 * One virtual host per match (`m0.test`, `m1.test`, …) that sends what matches to `alpha` and the rest to
 * `beta`, and every request to every one of them.
 */
export function product(
  matches: readonly (readonly [label: string, match: Json])[],
  requests: readonly (readonly [label: string, target: string, parts?: RequestParts])[],
): Pick<Section, 'routes' | 'cases'> {
  const hosts = matches.map(([label, match], index) => ({
    name: `m${index}`,
    domains: [`m${index}.test`],
    routes: [forwards(label, match, 'alpha'), forwards('rest', { prefix: '/' }, 'beta')],
  }));
  const cases = matches.flatMap(([label], index) =>
    requests.map(([what, target, parts]) =>
      sends(`${label} × ${what}`, target, { ...parts, host: `m${index}.test` }),
    ),
  );
  return { routes: { virtual_hosts: hosts }, cases };
}
