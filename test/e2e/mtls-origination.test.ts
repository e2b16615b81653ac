/** TLS that DestinationRules ask for, towards OpenSSL outside the mesh: certificates from Secrets and from files. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cleanUp, freePort, waitFor } from '@sluice/testkit';
import { makeMtlsFolder, MtlsMesh, startOpensslServer, type Called } from './mtls-fixture.ts';
import { Pki } from './tls-fixture.ts';

const timeoutMs = 90_000;
const host = 'db.example.com';
const rule = (tls: string): string =>
  `apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: db}\nspec: {host: ${host}, trafficPolicy: {tls: ${tls}}}\n`;
const secret = (name: string, data: Record<string, string>): string =>
  `---\n${JSON.stringify({ apiVersion: 'v1', kind: 'Secret', metadata: { name }, type: 'Opaque', stringData: data })}\n`;

afterAll(cleanUp, timeoutMs);

describe.if(process.platform === 'linux')('a DestinationRule', () => {
  const pki = new Pki();
  const serverLeaf = pki.authority.leaf({ dnsSans: [host] });
  const server = pki.files('server', serverLeaf);
  const client = pki.authority.leaf({ account: 'web-client', dnsSans: ['web.example.com'] });
  const clientFiles = pki.files('client', client);
  const stranger = new Pki();
  let mtls: MtlsMesh;
  let oneWay = 0;
  let mutual = 0;

  beforeAll(async () => {
    // -cert reads the leaf only; what stands between it and the root comes separately.
    const certificate = ['-cert', server.chain, '-cert_chain', server.chain, '-key', server.key];
    [oneWay, mutual] = [await freePort(), await freePort()];
    await startOpensslServer(oneWay, certificate);
    await startOpensslServer(mutual, [
      ...certificate,
      '-CAfile',
      pki.ca,
      '-Verify',
      '2',
      '-verify_return_error',
    ]);
    const dir = makeMtlsFolder();
    const yaml = join(dir, 'sluice.yaml');
    const web = 'web: { command: bun http.ts, port: 8088,';
    writeFileSync(yaml, readFileSync(yaml, 'utf8').replace(web, `${web} secretPaths: ["${pki.folder}"],`));
    writeFileSync(
      join(dir, 'mesh/db.yaml'),
      `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: db}
spec:
  hosts: [${host}]
  location: MESH_EXTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}, {number: 81, name: http-mutual, protocol: HTTP}]
  endpoints: [{address: 127.0.0.1, ports: {http: ${oneWay}, http-mutual: ${mutual}}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: vault}
spec:
  hosts: [vault.example.com]
  location: MESH_EXTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints: [{address: 127.0.0.1, ports: {http: ${oneWay}}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: vault}
spec: {host: vault.example.com, trafficPolicy: {tls: {mode: SIMPLE, credentialName: nobody-made-it}}}
`,
    );
    mtls = await MtlsMesh.start(dir);
  }, timeoutMs);

  function callUntil(port: number, isRight: (called: Called) => boolean, what: string): Promise<Called> {
    let last = '';
    return waitFor(
      async () => {
        const called = await mtls.call(`http://${host}:${port}/`);
        last = JSON.stringify(called).slice(0, 300);
        return isRight(called) ? called : undefined;
      },
      { what },
    ).catch((error: unknown) => {
      throw new Error(`${what}: the last call gave ${last}`, { cause: error });
    });
  }

  const isAnswered = ({ status, body }: Called): boolean => status === 200 && body.includes('s_server');

  test(
    'SIMPLE verifies the server by the authorities of a file, and asks for it by name',
    async () => {
      const undo = await mtls.apply(rule(`{mode: SIMPLE, caCertificates: ${pki.ca}}`));
      const { body } = await callUntil(80, isAnswered, 'an answer by TLS');
      expect(body).toContain('TLSv1.3');
      await undo();
    },
    timeoutMs,
  );

  test(
    'that names a Secret which nobody made holds no sidecar up at its start, and fails its own calls alone',
    async () => {
      const log = await mtls.mesh.out('logs', '--proxy', 'web', '--tail', '100000');
      expect(log).toMatch(/the control plane has no such secret.*kubernetes:\/\/nobody-made-it/);
      expect(log).not.toContain('goes live without what did not come in time');
      expect(await mtls.call('http://vault.example.com/')).toMatchObject({
        status: 503,
        reason: 'identity-missing',
      });
      expect((await mtls.call('http://api:8089/')).status).toBe(200);
    },
    timeoutMs,
  );

  test(
    'SIMPLE by a Secret takes authorities from it, and fails with a reason until it is there',
    async () => {
      const undo = await mtls.apply(rule('{mode: SIMPLE, credentialName: db-ca}'));
      const failed = await callUntil(80, ({ status }) => status === 503, 'a refusal');
      expect(failed.reason).not.toBe('');
      const described = await mtls.mesh.out('describe', 'dr', 'db');
      expect(described).toContain('there is no Secret db-ca in namespace default');
      const remove = await mtls.apply(secret('db-ca', { cacert: pki.authority.rootPem }));
      await callUntil(80, isAnswered, 'an answer once the Secret came');
      await undo();
      await remove();
    },
    timeoutMs,
  );

  test(
    'a server of other authorities, or with another name, is refused',
    async () => {
      const undo = await mtls.apply(
        rule('{mode: SIMPLE, credentialName: other-ca}') +
          secret('other-ca', { cacert: stranger.authority.rootPem }),
      );
      const foreign = await callUntil(
        80,
        ({ status, body }) => status === 503 && body.includes('TLS'),
        'a refusal',
      );
      expect(foreign.body).not.toContain('s_server');
      await undo();
      const again = await mtls.apply(
        rule(`{mode: SIMPLE, caCertificates: ${pki.ca}, subjectAltNames: [other.example.com]}`),
      );
      const misnamed = await callUntil(
        80,
        ({ status, body }) => status === 503 && body.includes('TLS'),
        'a refusal',
      );
      expect(misnamed.body).not.toContain('s_server');
      await again();
    },
    timeoutMs,
  );

  test(
    'MUTUAL shows a certificate, from a Secret and from files',
    async () => {
      const files = { 'tls.crt': client.chainPem, 'tls.key': client.keyPem, 'ca.crt': pki.authority.rootPem };
      const bySecret = await mtls.apply(
        rule('{mode: MUTUAL, credentialName: db-client}') + secret('db-client', files),
      );
      const answered = await callUntil(81, isAnswered, 'an answer to the certificate of the Secret');
      expect(answered.body).toMatch(/Client certificate[\s\S]*web-client/);
      await bySecret();
      const byFiles = await mtls.apply(
        rule(
          `{mode: MUTUAL, clientCertificate: ${clientFiles.chain}, privateKey: ${clientFiles.key}, caCertificates: ${pki.ca}}`,
        ),
      );
      const again = await callUntil(81, isAnswered, 'an answer to the certificate of files');
      expect(again.body).toMatch(/Client certificate[\s\S]*web-client/);
      await byFiles();
    },
    timeoutMs,
  );

  test(
    'a server on the revocation list of a file or of a Secret is refused, another is not',
    async () => {
      const lists = { none: pki.authority.crl([]), server: pki.authority.crl([serverLeaf], 2) };
      for (const [name, text] of Object.entries(lists)) writeFileSync(join(pki.folder, `${name}.crl`), text);
      const bySecret = (list: string): string =>
        rule('{mode: SIMPLE, credentialName: db-list}') +
        secret('db-list', { 'ca.crt': pki.authority.rootPem, 'ca.crl': list });
      const byFile = (name: string): string =>
        rule(`{mode: SIMPLE, caCertificates: ${pki.ca}, caCrl: ${join(pki.folder, `${name}.crl`)}}`);
      for (const [good, bad] of [
        [byFile('none'), byFile('server')],
        [bySecret(lists.none), bySecret(lists.server)],
      ] as const) {
        await mtls.apply(good);
        await callUntil(80, isAnswered, 'an answer of one that is not on the list');
        const undo = await mtls.apply(bad);
        const refused = await callUntil(80, ({ reason }) => reason === 'upstream-tls-failed', 'a refusal');
        expect(refused.status).toBe(503);
        await undo();
      }
    },
    timeoutMs,
  );

  test(
    'insecureSkipVerify takes anybody, and files that the workload does not allow are not read',
    async () => {
      const undo = await mtls.apply(
        rule('{mode: SIMPLE, credentialName: any, insecureSkipVerify: true}') +
          secret('any', { cacert: stranger.authority.rootPem }),
      );
      await callUntil(80, isAnswered, 'an answer of a server that nobody verified');
      await undo();
      const again = await mtls.apply(rule(`{mode: SIMPLE, caCertificates: ${stranger.ca}}`));
      const said = await waitFor(
        async () => {
          const { out } = await mtls.mesh.cli('status', 'web');
          return out.includes('NACK CDS') ? out : undefined;
        },
        { what: 'the refusal to be told' },
      );
      expect(said).toContain('trusted_ca.filename: remote configuration may read no files here');
      await again();
    },
    timeoutMs,
  );

  test(
    'the content of a Secret is shown to nobody who does not ask for it',
    async () => {
      const undo = await mtls.apply(secret('shown', { password: 'correct horse' }));
      const encoded = btoa('correct horse');
      for (const args of [
        ['get', 'secrets'],
        ['describe', 'secret', 'shown'],
        ['status'],
        ['get', 'secrets', '-o', 'wide'],
      ]) {
        const { out, err } = await mtls.mesh.cli(...args);
        expect(out + err).not.toContain(encoded);
        expect(out + err).not.toContain('correct horse');
      }
      expect(await mtls.mesh.out('get', 'secret', 'shown', '-o', 'yaml')).toContain(encoded);
      await undo();
    },
    timeoutMs,
  );
});
