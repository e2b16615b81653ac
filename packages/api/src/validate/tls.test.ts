import { describe, expect, test } from 'bun:test';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { withDefaults } from '../defaults/apply.ts';
import { formatProblem } from '../problem.ts';
import { readObjects } from '../read.ts';
import type { Secret } from '../resource-types.ts';
import { foldStringData, readCredential, secretContent } from '../secret-content.ts';

function problemsOf(text: string): string[] {
  return readObjects(text, 'f').problems.map((problem) => formatProblem(problem).replace(/^f:\d+:\d+: /, ''));
}

const rule = (tls: string): string =>
  `apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a}\nspec: {host: a, trafficPolicy: {tls: ${tls}}}\n`;
const peers = (spec: string): string =>
  `apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: a}\nspec: ${spec}\n`;
const route = (spec: string): string =>
  `apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\nspec: {hosts: [a.example.com], ${spec}}\n`;

describe('PeerAuthentication', () => {
  test('modes of ports need the workloads whose ports they are', () => {
    expect(problemsOf(peers('{portLevelMtls: {80: {mode: STRICT}}}'))).toEqual([
      'error [conflicting-fields] spec.portLevelMtls: needs a selector: ports are those of workloads (add spec.selector.matchLabels)',
    ]);
    expect(problemsOf(peers('{selector: {matchLabels: {a: b}}, portLevelMtls: {}}'))[0]).toContain(
      'at least one port',
    );
    expect(
      problemsOf(peers('{selector: {matchLabels: {a: b}}, portLevelMtls: {70000: {mode: STRICT}}}'))[0],
    ).toContain('must be a port number');
  });

  test('an unknown mode is refused', () => {
    expect(problemsOf(peers('{mtls: {mode: STRICKT}}'))[0]).toContain('[');
    expect(problemsOf(peers('{mtls: {mode: STRICT}}'))).toEqual([]);
  });
});

describe('tls of a DestinationRule', () => {
  test.each([
    ['{mode: MUTUAL}', 'spec.trafficPolicy.tls.clientCertificate: is required with mode MUTUAL'],
    ['{mode: SIMPLE, clientCertificate: /a, privateKey: /b}', 'has no effect with mode SIMPLE'],
    ['{mode: SIMPLE, credentialName: a, caCertificates: /a}', 'must not be set beside credentialName'],
    ['{mode: ISTIO_MUTUAL, caCertificates: /a}', 'must not be set with mode ISTIO_MUTUAL'],
    ['{sni: a.example.com}', 'sni has no effect: without a mode connections are not encrypted'],
    [
      '{mode: SIMPLE, insecureSkipVerify: true, subjectAltNames: [a]}',
      'has no effect with insecureSkipVerify',
    ],
    ['{mode: SIMPLE, caCertificates: ca.pem}', 'must be an absolute path'],
    ['{mode: SIMPLE, caCrl: /crl.pem}', 'needs caCertificates'],
    ['{mode: SIMPLE, credentialName: "Bad Name"}', 'must be the name of a Secret'],
    ['{mode: SIMPLE, insecureSkipVerify: true}', 'anybody can stand in for the server'],
  ])('%s: %s', (tls, words) => {
    expect(problemsOf(rule(tls)).join('\n')).toContain(words);
  });

  test.each([
    '{mode: DISABLE}',
    '{mode: SIMPLE}',
    '{mode: SIMPLE, sni: a.example.com, caCertificates: /ca.pem, caCrl: /crl.pem}',
    '{mode: MUTUAL, clientCertificate: /a, privateKey: /b}',
    '{mode: MUTUAL, credentialName: a, subjectAltNames: [spiffe://a/b]}',
    '{mode: ISTIO_MUTUAL, sni: outbound_.80_._.a.b}',
  ])('%s is right', (tls) => {
    expect(problemsOf(rule(tls))).toEqual([]);
  });
});

describe('tls and tcp of a VirtualService', () => {
  const to = 'route: [{destination: {host: a.example.com}}]';
  test.each([
    [
      `tls: [{match: [{sniHosts: [b.example.com]}], ${to}}]`,
      'b.example.com is not covered by any of spec.hosts',
    ],
    [`tls: [{match: [], ${to}}]`, 'needs at least one server name'],
    ['tcp: [{}]', 'needs at least one destination'],
    [`tcp: [{match: [{destinationSubnets: [x]}], ${to}}]`, 'must be an IP address or CIDR range'],
    [`tcp: [{match: [{port: 0}], ${to}}]`, 'must be a port number'],
    ['tcp: [{route: [{destination: {host: a.b}}, {destination: {host: b.c}}]}]', 'has weights that sum to 0'],
    [`tcp: [{match: [{sourceSubnet: 10.0.0.0/8}], ${to}}]`, 'is not supported yet'],
  ])('%s: %s', (spec, words) => {
    expect(problemsOf(route(spec)).join('\n')).toContain(words);
  });
});

describe('Secret', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-secret-'));
  const make = (name: string): { key: string; certificate: string } => {
    const [key, certificate] = [join(folder, `${name}.key`), join(folder, `${name}.crt`)];
    execFileSync(
      'openssl',
      [
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:P-256',
        '-nodes',
        '-subj',
        `/CN=${name}`,
      ].concat(['-days', '2', '-keyout', key, '-out', certificate]),
      { stdio: 'ignore' },
    );
    return { key: readFileSync(key, 'utf8'), certificate: readFileSync(certificate, 'utf8') };
  };
  const [one, other] = [make('one'), make('other')];
  rmSync(folder, { recursive: true });
  const secret = (
    type: string,
    stringData: Record<string, string>,
    data: Record<string, string> = {},
  ): string =>
    JSON.stringify({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'a' }, type, stringData, data });

  test('a TLS secret with a certificate and its key is right', () => {
    expect(
      problemsOf(secret('kubernetes.io/tls', { 'tls.crt': one.certificate, 'tls.key': one.key })),
    ).toEqual([]);
  });

  test('the key of another certificate is refused, and never quoted', () => {
    const said = problemsOf(
      secret('kubernetes.io/tls', { 'tls.crt': one.certificate, 'tls.key': other.key }),
    );
    expect(said).toEqual(['error [invalid-value] stringData["tls.key"]: is not the key of the certificate']);
  });

  test('under another type the same names are only warned about', () => {
    const said = problemsOf(secret('Opaque', { cert: 'no certificate' }));
    expect(said).toEqual(['warning [invalid-value] stringData.cert: must be certificates in PEM']);
  });

  test('what a TLS secret lacks is named', () => {
    expect(problemsOf(secret('kubernetes.io/tls', { 'tls.crt': one.certificate })).join()).toContain(
      'tls.key',
    );
  });

  test('data that is not base64 is refused without quoting it', () => {
    const said = problemsOf(secret('Opaque', {}, { a: 'not*base64' })).join();
    expect(said).toContain('must be base64');
    expect(said).not.toContain('not*base64');
  });

  test('parts are read under the names of both kinds, text before base64', () => {
    const content = {
      data: { cert: btoa('C'), 'tls.key': btoa('old') },
      stringData: { 'tls.key': 'K', 'ca.crt': 'A' },
    };
    expect(readCredential(content)).toEqual({ certificateChain: 'C', privateKey: 'K', ca: 'A', crl: null });
  });

  test('text becomes base64 when it is taken', () => {
    const object = {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'a' },
      stringData: { a: 'ä' },
    } as Secret;
    const folded = foldStringData(object);
    expect(folded.stringData).toBeUndefined();
    expect(secretContent(folded).get('a')).toBe('ä');
    expect(withDefaults(object)).toMatchObject({ type: 'Opaque', data: folded.data });
  });
});
