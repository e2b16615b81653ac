/**
 * Mutual TLS against istiod: the same chains in the same order in STRICT and PERMISSIVE, and the same contexts of
 * clusters. The facts in testdata/istiod/mutual-tls.json are distilled from dumps; differences have their reasons.
 */
import { beforeEach, describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { xdsTypes } from '@sluice/xds';
import type { JsonObject, JsonValue } from '@sluice/xds';
import type { ProxyNode } from './node.ts';
import { TranslationFixture } from './translation-fixture.ts';

interface TlsFacts {
  readonly certificates: readonly string[];
  readonly roots: string;
  readonly names: readonly string[];
  readonly alpn: readonly string[];
  readonly min: string;
  readonly ciphers: readonly string[];
  readonly requiresClient?: boolean;
  readonly sni?: string;
}
interface ChainFacts {
  readonly name: string;
  readonly port: number;
  readonly transport: string;
  readonly protocols: readonly string[];
  readonly reads: 'http' | 'tcp';
  readonly tls: TlsFacts | null;
  readonly clientCert?: readonly JsonValue[];
}
interface InboundFacts {
  readonly chains: readonly ChainFacts[];
  readonly inspectors: readonly string[];
}
type SocketFacts = readonly {
  readonly name: string;
  readonly match: JsonValue;
  readonly tls: TlsFacts | null;
}[];
interface Facts {
  readonly strict: InboundFacts;
  readonly permissive: InboundFacts;
  readonly clusters: Readonly<Record<string, SocketFacts | null>>;
}

const folder = join(import.meta.dir, 'testdata', 'istiod');
const theirs = JSON.parse(readFileSync(join(folder, 'mutual-tls.json'), 'utf8')) as Facts;
let fixture: TranslationFixture;
let node: ProxyNode;

beforeEach(() => {
  fixture = new TranslationFixture();
  fixture.apply(readFileSync(join(folder, 'sidecar.yaml'), 'utf8'));
  node = fixture.client('app-1', {
    address: '10.244.9.9',
    labels: { app: 'app', version: 'v1' },
    ports: [{ name: 'http', appPort: 18_000, inboundPort: 18_000 }],
    capabilities: ['sluice.dev/tls', 'sluice.dev/http2'],
  });
});

/** `istio-peer-exchange` promises metadata before the first byte, which ours neither sends nor expects. */
const withoutExchange = (facts: TlsFacts): TlsFacts => ({
  ...facts,
  alpn: facts.alpn.map((one) => (one === 'istio-peer-exchange' ? 'istio' : one)),
});
/** What a sidecar says of its connection: istiod's `alpn` filter puts it in per request, we into the cluster. */
const byProtocol: Readonly<Record<string, readonly string[]>> = {
  8080: ['istio-http/1.1', 'istio', 'http/1.1'],
  8000: ['istio-http/1.1', 'istio', 'http/1.1'],
  5432: ['istio'],
  7000: ['istio'],
};

function tlsFacts(socket: JsonObject | undefined): TlsFacts | null {
  if (socket?.['name'] !== 'envoy.transport_sockets.tls') return null;
  const config = socket['typed_config'] as JsonObject;
  const common = config['common_tls_context'] as JsonObject;
  const combined = common['combined_validation_context'] as JsonObject;
  const own = (combined['default_validation_context'] ?? {}) as JsonObject;
  const params = common['tls_params'] as JsonObject;
  const requiresClient = config['require_client_certificate'] as boolean | undefined;
  const sni = config['sni'] as string | undefined;
  return {
    certificates: (common['tls_certificate_sds_secret_configs'] as JsonObject[]).map((one) =>
      String(one['name']),
    ),
    roots: String((combined['validation_context_sds_secret_config'] as JsonObject)['name']),
    names: ((own['match_subject_alt_names'] ?? []) as JsonObject[]).flatMap((one) =>
      Object.entries(one).map(([kind, value]) => `${kind}:${value}`),
    ),
    alpn: common['alpn_protocols'] as string[],
    min: String(params['tls_minimum_protocol_version']),
    ciphers: (params['cipher_suites'] ?? []) as string[],
    ...(requiresClient === undefined ? {} : { requiresClient }),
    ...(sni === undefined ? {} : { sni }),
  };
}

function inbound(): InboundFacts {
  const listener = fixture.resource(node, xdsTypes.listener, 'virtualInbound');
  const chains = (listener?.['filter_chains'] ?? []) as readonly JsonObject[];
  return {
    chains: chains.map((chain) => {
      const match = (chain['filter_chain_match'] ?? {}) as JsonObject;
      const [filter] = chain['filters'] as readonly JsonObject[];
      const isHttp = String(filter?.['name']).endsWith('http_connection_manager');
      const manager = (filter?.['typed_config'] ?? {}) as JsonObject;
      return {
        name: String(chain['name']),
        port: Number(match['destination_port'] ?? 0),
        transport: String(match['transport_protocol'] ?? ''),
        protocols: (match['application_protocols'] ?? []) as string[],
        reads: isHttp ? 'http' : 'tcp',
        tls: tlsFacts(chain['transport_socket'] as JsonObject | undefined),
        ...(isHttp
          ? {
              clientCert: [
                manager['forward_client_cert_details'] ?? null,
                manager['set_current_client_cert_details'] ?? null,
              ],
            }
          : {}),
      };
    }),
    inspectors: ((listener?.['listener_filters'] ?? []) as readonly JsonObject[]).map((one) =>
      String(one['name']),
    ),
  };
}

/** By port and what they take: the order of chains says nothing. */
function sorted(facts: InboundFacts): InboundFacts {
  const key = ({ port, transport, protocols }: ChainFacts): string =>
    JSON.stringify([port, transport, protocols]);
  const chains = facts.chains.map((chain) => ({ ...chain, tls: chain.tls && withoutExchange(chain.tls) }));
  return { ...facts, chains: chains.sort((a, b) => (key(a) < key(b) ? -1 : 1)) };
}

describe('inbound', () => {
  test('STRICT has istiod’s chains', () => {
    fixture.apply(
      'apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: default, namespace: default}\nspec: {mtls: {mode: STRICT}}\n',
    );
    expect(sorted(inbound())).toEqual(sorted(theirs.strict));
  });

  test('PERMISSIVE has them too, and one more for the TLS of an application on a port of requests', () => {
    const passed: ChainFacts = {
      name: '0.0.0.0_18000',
      port: 18_000,
      transport: 'tls',
      protocols: [],
      reads: 'tcp',
      tls: null,
    };
    const expected = { ...theirs.permissive, chains: [...theirs.permissive.chains, passed] };
    expect(sorted(inbound())).toEqual(sorted(expected));
  });
});

describe('outbound', () => {
  test.each(Object.entries(theirs.clusters))('%s has istiod’s transport sockets', (name, sockets) => {
    const cluster = fixture.resource(node, xdsTypes.cluster, name);
    const ours = (cluster?.['transport_socket_matches'] as readonly JsonObject[] | undefined)?.map((one) => ({
      name: String(one['name']),
      match: one['match'] as JsonValue,
      tls: tlsFacts(one['transport_socket'] as JsonObject),
    }));
    const alpn = byProtocol[name.split('|')[1] ?? ''] ?? [];
    const expected = sockets?.map((one) => ({ ...one, tls: one.tls && { ...one.tls, alpn } }));
    expect(ours ?? null).toEqual(expected ?? null);
  });
});
