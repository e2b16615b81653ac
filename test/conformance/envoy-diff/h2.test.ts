/**
 * HTTP/2 beside a real Envoy: clients of HTTP/2 with endpoints of either protocol, clients of HTTP/1.1 with
 * endpoints of HTTP/2. What clients, endpoints and access logs see must be the same.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cleanUp, freePort, makeTempDir, refusingPort, waitFor } from '@sluice/testkit';
import { cluster, fileAccessLog, httpManager, socket, type Json } from '../../envoy-config.ts';
import { findEnvoy } from '../../find-envoy.ts';
import { converse } from './client.ts';
import { malformed, onlyH2, wellFormed, type H2Case, type Seen } from './h2-cases.ts';
import { fieldLines, startOrigins, type Origins, type Received } from './h2-origins.ts';
import { launch } from './proxies.ts';
import { sends, type Case } from './section.ts';

afterAll(cleanUp);

const envoyBinary = findEnvoy();
const format =
  '%PROTOCOL% %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %BYTES_RECEIVED% %BYTES_SENT% %REQ(:METHOD)% %REQ(:PATH)%';
/** Listener → protocol of its endpoint. */
const listeners = { 'h2 → h1': 'h1', 'h2 → h2': 'h2', 'h1 → h2': 'h2' } as const;
type Pairing = keyof typeof listeners;

interface Observation {
  readonly seen: Seen;
  readonly received: readonly Received[];
  readonly log: readonly string[];
}

const h1Cases: readonly Case[] = [
  sends('get', '/x?y=1'),
  sends('head', '/x', { method: 'HEAD' }),
  sends('post', '/x', { method: 'POST', body: 'hello' }),
  {
    name: 'chunked, with trailers',
    steps: [
      {
        send: 'POST /x HTTP/1.1\r\nHost: any.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n',
      },
    ],
  },
  sends('hop-by-hop fields', '/x', {
    headers: [
      ['Connection', 'keep-alive, x-hop'],
      ['x-hop', '1'],
      ['Keep-Alive', '5'],
      ['X-Own', 'V'],
    ],
  }),
  sends('te: trailers', '/x', {
    headers: [
      ['TE', 'trailers'],
      ['Connection', 'te'],
    ],
  }),
  sends('204', '/204'),
  sends('304', '/304'),
  sends('interim response', '/hints'),
  sends('trailers in the response', '/trailers'),
  sends('reset by the endpoint', '/reset'),
  sends('reset in the middle of the response', '/half'),
  sends('connection cut', '/cut'),
  sends('stream refused', '/refuse'),
  sends('stream refused, retried', '/refuse-retried'),
];

/** What differs on purpose, by pairing, case and field, with the reason. */
const explained: readonly { where: RegExp; reason: string }[] = [
  {
    where: /: options ▸ received/,
    reason: 'a request without content says a length of 0 only where its client did',
  },
  {
    where: /: options of the server ▸ log/,
    reason: 'OPTIONS * is routed, and finds no route here; Envoy rejects it before',
  },
  { where: /: interim response ▸ interim/, reason: 'interim responses are passed on; Envoy drops them' },
  {
    where: /(→ h1: reset by the endpoint|: connection cut) ▸ (received|status|log)/,
    reason:
      'a reused connection that died before a byte of response: tried once more where the method may be repeated, then UC and 503',
  },
  {
    where: /→ h1: reset in the middle of the response ▸ log/,
    reason:
      'a connection that ends in the middle of a response was terminated (UC); Envoy says protocol error',
  },
];

function clusterOf(name: string, port: number, protocol: 'h1' | 'h2'): Json {
  const type = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
  const choice =
    protocol === 'h2' ? { http2_protocol_options: {} } : { http_protocol_options: { enable_trailers: true } };
  return cluster(name, [port], {
    typed_extension_protocol_options: {
      [type]: { '@type': `type.googleapis.com/${type}`, explicit_http_config: choice },
    },
  });
}

function manager(to: string, log: string): Json {
  const path = (prefix: string, action: Json): Json => ({ match: { prefix }, ...action });
  const retry = { retry_on: 'refused-stream', num_retries: 1 };
  return httpManager({
    stat_prefix: 'diff',
    server_name: 'mesh',
    delayed_close_timeout: '0.05s',
    http_protocol_options: { enable_trailers: true },
    // Otherwise Envoy ends a connection for one malformed request on it; we do only where we are told to.
    http2_protocol_options: { override_stream_error_on_invalid_http_message: true },
    route_config: {
      validate_clusters: false,
      virtual_hosts: [
        {
          name: 'any',
          domains: ['any.test', 'any.test:8080'],
          routes: [
            path('/direct', { direct_response: { status: 418, body: { inline_string: 'tea' } } }),
            path('/redirect', { redirect: { host_redirect: 'other.test' } }),
            path('/nowhere', { route: { cluster: 'nowhere' } }),
            path('/refusing', { route: { cluster: 'refusing' } }),
            path('/refuse-retried', {
              route: { cluster: to, prefix_rewrite: '/refuse', retry_policy: retry },
            }),
            path('/', { route: { cluster: to } }),
          ],
        },
      ],
    },
    access_log: [fileAccessLog(log, format)],
  });
}

interface Proxy {
  readonly ports: ReadonlyMap<Pairing, number>;
  readonly log: string;
}

async function start(kind: 'envoy' | 'sluice', origins: Origins, refusing: number): Promise<Proxy> {
  const folder = makeTempDir();
  const [log, adminPort] = [join(folder, 'access.log'), freePort()];
  const ports = new Map((Object.keys(listeners) as Pairing[]).map((name) => [name, freePort()]));
  const bootstrap = {
    admin: { address: socket(adminPort) },
    static_resources: {
      listeners: [...ports].map(([name, port]) => ({
        name,
        address: socket(port),
        filter_chains: [{ filters: [manager(listeners[name], log)] }],
      })),
      clusters: [
        clusterOf('h1', origins.h1, 'h1'),
        clusterOf('h2', origins.h2, 'h2'),
        clusterOf('refusing', refusing, 'h2'),
      ],
    },
  };
  writeFileSync(log, '');
  await launch(kind, bootstrap, adminPort, log);
  return { ports, log };
}

/** By "pairing: case". */
async function observe(proxy: Proxy, origins: Origins): Promise<Map<string, Observation>> {
  const observations = new Map<string, Observation>();
  const lines = (): string[] => readFileSync(proxy.log, 'latin1').split('\n').filter(Boolean);
  const note = async (name: string, run: () => Promise<Seen>): Promise<void> => {
    const before = lines().length;
    origins.take();
    const seen = await run();
    await waitFor(() => lines().length > before, { what: `a log line of ${name}`, timeoutMs: 3000 }).catch(
      () => undefined,
    );
    observations.set(name, { seen, received: origins.take(), log: lines().slice(before) });
  };
  for (const pairing of ['h2 → h1', 'h2 → h2'] as const) {
    const port = proxy.ports.get(pairing) ?? 0;
    const cases: readonly H2Case[] = [...wellFormed, ...(pairing === 'h2 → h2' ? onlyH2 : [])];
    for (const one of cases) await note(`${pairing}: ${one.name}`, () => one.run(port));
  }
  const port = proxy.ports.get('h1 → h2') ?? 0;
  for (const one of h1Cases) await note(`h1 → h2: ${one.name}`, () => overH1(port, one));
  for (const pairing of ['h2 → h1', 'h2 → h2'] as const) {
    const to = proxy.ports.get(pairing) ?? 0;
    for (const one of malformed) await note(`${pairing}: ${one.name}`, () => one.run(to));
  }
  return observations;
}

async function overH1(port: number, one: Case): Promise<Seen> {
  const [outcome] = (await converse(port, one)).outcomes;
  if (outcome === undefined || typeof outcome === 'string')
    return { status: 0, interim: [], fields: [], body: '', trailers: [], end: 'closed' };
  const { status, interim, headers, body, trailers, isWhole } = outcome;
  return {
    status,
    interim,
    fields: fieldLines(headers),
    body,
    trailers: fieldLines(trailers),
    end: isWhole ? 'whole' : 'closed',
  };
}

/** Bodies that proxies make themselves are their own affair. */
function comparable({ seen, received, log }: Observation): Record<string, unknown> {
  const isOwnReply = received.length === 0 || seen.status >= 500;
  const { body, fields, ...rest } = seen;
  return {
    ...rest,
    ...(isOwnReply && seen.status !== 418
      ? {}
      : { body, fields: fields.filter((line) => !line.startsWith('vary')) }),
    received,
    log: log.map((line) => comparableLine(line, isOwnReply)),
  };
}

/** Without the length of a reply of the proxy's own, and without the text of a system error. */
function comparableLine(line: string, isOwnReply: boolean): string {
  const parts = line.replace(/\|[^}]*}/, '}').split(' ');
  if (isOwnReply) parts.splice(5, 1);
  return parts.join(' ');
}

describe.skipIf(envoyBinary === null)('HTTP/2 beside a real Envoy', () => {
  const differences: string[] = [];
  let count = 0;

  beforeAll(async () => {
    const origins = await startOrigins();
    const refusing = refusingPort();
    const [envoy, sluice] = await Promise.all([
      start('envoy', origins, refusing),
      start('sluice', origins, refusing),
    ]);
    const theirs = await observe(envoy, origins);
    const ours = await observe(sluice, origins);
    for (const [name, observation] of theirs) {
      count++;
      const [wanted, got] = [comparable(observation), comparable(ours.get(name)!)];
      for (const field of Object.keys({ ...wanted, ...got })) {
        const [one, other] = [JSON.stringify(wanted[field]), JSON.stringify(got[field])];
        if (one !== other) differences.push(`${name} ▸ ${field}: Envoy ${one}, ours ${other}`);
      }
    }
  }, 120_000);

  test('as many cases as it takes', () => {
    expect(count).toBeGreaterThan(100);
  });

  test('every case is answered alike, but for what is explained', () => {
    expect(differences.filter((one) => !explained.some(({ where }) => where.test(one)))).toEqual([]);
  });

  test('every explained difference still occurs', () => {
    expect(
      explained
        .filter(({ where }) => !differences.some((one) => where.test(one)))
        .map(({ reason }) => reason),
    ).toEqual([]);
  });
});
