import { expect, test } from 'bun:test';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Registration } from '@sluice/api';
import { xdsTypes } from '@sluice/xds';
import type { JsonObject, JsonValue } from '@sluice/xds';
import { runTranscript } from '@sluice/testkit';
import type { TranscriptCommand } from '@sluice/testkit';
import type { ProxyNode } from './node.ts';
import { resourceJson, TranslationFixture } from './translation-fixture.ts';

/**
 * What each resource becomes, as stories in testdata/*.txt: `apply` takes resources, `client` says who looks,
 * the other commands show what that client gets. SLUICE_REWRITE=1 writes them anew.
 */
const folder = join(import.meta.dir, 'testdata');
const typeOf: Readonly<Record<string, string>> = {
  cluster: xdsTypes.cluster,
  endpoints: xdsTypes.endpoint,
  listener: xdsTypes.listener,
  routes: xdsTypes.route,
  'virtual-hosts': xdsTypes.virtualHost,
};

class Story {
  fixture = new TranslationFixture();
  node: ProxyNode = this.fixture.client('client');
  /** One client of each shape that the story names, so that returning to one finds it. */
  #clients = 0;

  run(command: TranscriptCommand): string {
    const [first = ''] = command.words;
    switch (command.name) {
      case 'mesh':
        this.fixture = new TranslationFixture({ mesh: JSON.parse(command.input) as JsonObject });
        this.node = this.fixture.client('client');
        return 'ok';
      case 'apply':
        this.fixture.apply(command.input);
        return 'ok';
      case 'client':
        this.node = this.fixture.client(first || `client-${++this.#clients}`, registrationOf(command));
        return 'ok';
      case 'names':
        return this.#names(typeOf[first] ?? '').join('\n');
      case 'chains':
        return this.#chains(first);
      case 'inbound-tls': {
        const listener = this.fixture.resource(this.node, xdsTypes.listener, first);
        const chains = (listener?.['filter_chains'] ?? []) as readonly JsonObject[];
        return format(
          shortTypes(chains.find((chain) => chain['transport_socket'])?.['transport_socket'] ?? 'none'),
        );
      }
      case 'listener-filters': {
        const listener = this.fixture.resource(this.node, xdsTypes.listener, first);
        return format({
          filters: (listener?.['listener_filters'] ?? []) as JsonValue,
          timeout: listener?.['listener_filters_timeout'] ?? 'none',
        });
      }
      case 'transport': {
        const cluster = this.fixture.resource(this.node, xdsTypes.cluster, first);
        return format(
          shortTypes(cluster?.['transport_socket'] ?? cluster?.['transport_socket_matches'] ?? 'plaintext'),
        );
      }
      case 'tcp': {
        const listener = this.fixture.resource(this.node, xdsTypes.listener, first);
        const chains = [
          listener?.['default_filter_chain'],
          ...((listener?.['filter_chains'] ?? []) as JsonObject[]),
        ];
        const filters = chains.flatMap(
          (chain) => ((chain as JsonObject | undefined)?.['filters'] ?? []) as JsonObject[],
        );
        return filters
          .map((filter) => format(abbreviate(shortTypes(filter['typed_config'] ?? 'none'))))
          .join('\n');
      }
      case 'protocol': {
        const cluster = this.fixture.resource(this.node, xdsTypes.cluster, first);
        return format(
          Object.values((cluster?.['typed_extension_protocol_options'] ?? {}) as JsonObject).map(shortTypes),
        );
      }
      case 'host':
        return this.#host(first, command.words[1] ?? '', command.words.includes('full'));
      default:
        return format(
          abbreviate(this.fixture.resource(this.node, typeOf[command.name] ?? '', first) ?? 'none'),
        );
    }
  }

  #names(type: string): string[] {
    return [...(this.fixture.snapshot(this.node).types.get(type)?.keys() ?? [])].sort();
  }

  /** Each filter chain on a line: what it takes, where it leads, and what is asked of clients. */
  #chains(name: string): string {
    const listener = this.fixture.resource(this.node, xdsTypes.listener, name);
    const chains = (listener?.['filter_chains'] ?? []) as readonly JsonObject[];
    const rest = listener?.['default_filter_chain'] as JsonObject | undefined;
    return [
      ...chains.map((chain) => `${flatText(chain['filter_chain_match'] ?? {})}: ${chainText(chain)}`),
      ...(rest ? [`else: ${chainText(rest)}`] : []),
    ].join('\n');
  }

  /** One virtual host of a route table. */
  #host(table: string, name: string, isFull: boolean): string {
    const routes = this.fixture.resource(this.node, xdsTypes.route, table);
    const hosts = (routes?.['virtual_hosts'] ?? []) as readonly JsonObject[];
    const host = hosts.find((one) => one['name'] === name) ?? 'none';
    return format(isFull ? host : abbreviate(host));
  }
}

function registrationOf({ args, input }: TranscriptCommand): Partial<Registration> {
  const { namespace = 'default', mode = 'REDIRECT' } = args;
  const labels = Object.fromEntries(
    Object.entries(args)
      .filter(([name]) => name.startsWith('label.'))
      .map(([name, value]) => [name.slice('label.'.length), value]),
  );
  const more = input.trim() === '' ? {} : (JSON.parse(input) as Partial<Registration>);
  return { namespace, labels, interceptionMode: mode as 'NONE' | 'REDIRECT', ...more };
}

function chainText(chain: JsonObject): string {
  const [filter] = chain['filters'] as readonly JsonObject[];
  const config = (filter?.['typed_config'] ?? {}) as JsonObject;
  const socket = (chain['transport_socket'] as JsonObject | undefined)?.['typed_config'] as
    JsonObject | undefined;
  const weighted = (config['weighted_clusters'] as JsonObject | undefined)?.['clusters'] as
    readonly JsonObject[] | undefined;
  const where = String(filter?.['name']).endsWith('tcp_proxy')
    ? `bytes to ${config['cluster'] ?? weighted?.map((one) => `${one['name']} × ${one['weight']}`).join(', ')}`
    : `requests (${config['stat_prefix']})`;
  if (socket === undefined) return where;
  const common = (socket['common_tls_context'] ?? {}) as JsonObject;
  return `${where}, mutual TLS (${(common['alpn_protocols'] as readonly string[]).join(', ')})`;
}

/** Type names without their packages, and the source of secrets by its name. */
function shortTypes(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(shortTypes);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, one]) => {
      if (name === '@type') return [name, String(one).replace(/^.*\./, '')];
      if (name === 'sds_config')
        return [name, (one as JsonObject)['initial_fetch_timeout'] === '0s' ? '(waited for)' : '(ads)'];
      if (name === 'cipher_suites') return [name, '(istiod)'];
      return [name, shortTypes(one as JsonValue)];
    }),
  );
}

/** Parts that every route repeats, written out once in virtual-services.txt (`full`). */
const abbreviations: readonly (readonly [string, string])[] = [
  ['retry_host_predicate', '(previous hosts)'],
  ['retry_options_predicates', '(method-aware)'],
  ['access_log', '(as configured)'],
];

function abbreviate(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(abbreviate);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, one]) => {
      const short = abbreviations.find(([field]) => field === name);
      // The one member of the repeated parts that routes differ in.
      const [, least] = /"least_backoff":"([^"]*)"/.exec(short ? JSON.stringify(one) : '') ?? [];
      if (short && least !== undefined) return [name, `${short[1]} least backoff ${least}`];
      return [name, short ? short[1] : abbreviate(one as JsonValue)];
    }),
  );
}

/** JSON with everything that fits into a line on one. */
function format(value: JsonValue, indent = ''): string {
  const flat = flatText(value);
  if (typeof value !== 'object' || value === null || indent.length + flat.length <= 100) return flat;
  const inner = `${indent}  `;
  const parts = Array.isArray(value)
    ? value.map((one: JsonValue) => `${inner}${format(one, inner)}`)
    : Object.entries(value).map(([name, one]) => `${inner}"${name}": ${format(one as JsonValue, inner)}`);
  const [open, close] = Array.isArray(value) ? ['[', ']'] : ['{', '}'];
  return `${open}\n${parts.join(',\n')}\n${indent}${close}`;
}

function flatText(value: JsonValue): string {
  if (Array.isArray(value)) return `[${value.map(flatText).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value).map(([name, one]) => `"${name}": ${flatText(one as JsonValue)}`);
  return `{${members.join(', ')}}`;
}

for (const file of readdirSync(folder).filter((name) => name.endsWith('.txt')))
  test(`translates ${file.slice(0, -4).replaceAll('-', ' ')}`, async () => {
    const story = new Story();
    await runTranscript(join(folder, file), (command) => story.run(command));
  });

test('what is shown is what is sent', () => {
  const fixture = new TranslationFixture();
  const clusters = fixture.snapshot(fixture.client('client')).types.get(xdsTypes.cluster);
  const hole = clusters?.get('BlackHoleCluster');
  expect(resourceJson(xdsTypes.cluster, hole?.bytes ?? new Uint8Array())).toMatchObject({
    name: 'BlackHoleCluster',
  });
});
