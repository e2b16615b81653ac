import { expect, test } from 'bun:test';
import { TranslationFixture } from '../translate/translation-fixture.ts';
import { unmetPorts } from './unmet-ports.ts';

const workload = (name: string, ports: string, namespace = 'default'): string => `
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata:
  name: ${name}
  namespace: ${namespace}
  annotations: {sluice.dev/instance: ${name}${ports === '' ? '' : `, sluice.dev/ports: '${ports}'`}}
spec: {address: 127.0.0.1, labels: {app: api}}
`;
const ownPorts = '[{"name": "http", "appPort": 3000, "inboundPort": 8089}]';
const policy = (ports: string): string => `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: api}
spec: {selector: {matchLabels: {app: api}}, portLevelMtls: {${ports}}}
`;

function said(...yaml: readonly string[]): readonly string[] {
  const mesh = new TranslationFixture();
  for (const one of yaml) mesh.apply(one);
  const [source] = mesh.model.peerAuthentications.values();
  return source ? unmetPorts(mesh.model, source).map(({ message }) => message) : ['no policy'];
}

test('a port of no application is told with those that there are', () => {
  expect(said(workload('api', ownPorts), policy('8089: {mode: STRICT}'))).toEqual([
    'no application that it selects has port 8089, so its mode holds nowhere: ports are those of applications ' +
      '(targetPort), and api.default has 3000, which its sidecar takes at 8089',
  ]);
});

test('ports that an application has are fine, and others beside them are told', () => {
  expect(said(workload('api', ownPorts), policy('3000: {mode: STRICT}'))).toEqual([]);
  expect(said(workload('api', ownPorts), policy('3000: {mode: STRICT}, 9: {mode: DISABLE}'))).toHaveLength(1);
});

test('with redirection any port may be an application’s, and where nobody is selected nothing is known', () => {
  expect(said(workload('api', ownPorts), workload('b', ''), policy('8089: {mode: STRICT}'))).toEqual([]);
  expect(said(workload('api', ownPorts, 'other'), policy('8089: {mode: STRICT}'))).toEqual([]);
});
