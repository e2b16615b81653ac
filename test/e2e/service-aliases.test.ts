/** ExternalNames that name services of the mesh, between real processes: the service's routes and identity hold. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cleanUp, waitFor } from '@sluice/testkit';
import { makeMtlsFolder, MtlsMesh } from './mtls-fixture.ts';

const timeoutMs = 90_000;
const alias = (name: string, of: string): string =>
  `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}}\nspec: {type: ExternalName, externalName: ${of}.default.svc.cluster.local}\n`;
const strict =
  'apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: api}\nspec: {selector: {matchLabels: {app: api}}, mtls: {mode: STRICT}}\n';
const route = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: api}
spec:
  hosts: [api]
  http:
  - match: [{uri: {prefix: /teapot}}]
    directResponse: {status: 418, body: {string: routed}}
  - route: [{destination: {host: api}}]
`;

afterAll(cleanUp, timeoutMs);

describe.if(process.platform === 'linux')('an alias', () => {
  let mtls: MtlsMesh;

  beforeAll(async () => {
    const dir = makeMtlsFolder();
    writeFileSync(
      join(dir, 'mesh/aliases.yaml'),
      [alias('backend', 'api'), alias('legacy', 'backend'), alias('old-bytes', 'bytes'), strict, route].join(
        '---\n',
      ),
    );
    mtls = await MtlsMesh.start(dir);
  }, timeoutMs);

  test(
    'is called in mutual TLS, by its name and by a listener of its own, and by another alias',
    async () => {
      for (const name of ['backend', 'legacy']) {
        const { status, body } = await mtls.call(`http://${name}.default.svc.cluster.local:8089/`);
        expect(`${status} ${body}`).toMatch(
          /^200 By=spiffe:\/\/cluster\.local\/ns\/default\/sa\/api;.*URI=spiffe:\/\/cluster\.local\/ns\/default\/sa\/web$/,
        );
      }
      // TCP has no names: the environment's address of the alias is all its callers have.
      expect(await mtls.connect('OLD_BYTES')).toBe(`first byte ${'h'.charCodeAt(0)}`);
    },
    timeoutMs,
  );

  test(
    'has the routes of its service, and no others',
    async () => {
      const teapot = 'http://backend:8089/teapot';
      expect(await mtls.call(teapot)).toMatchObject({ status: 418, body: 'routed' });
      expect(await mtls.mesh.out('proxy-config', 'routes', 'web')).toContain('backend.default');
      const undo = await mtls.apply(
        route
          .replaceAll('hosts: [api]', 'hosts: [backend]')
          .replace('name: api', 'name: own')
          .replace('418', '410'),
      );
      await waitFor(
        async () =>
          (await mtls.mesh.out('describe', 'virtualservice', 'own')).includes('HostIsAlias')
            ? true
            : undefined,
        { what: 'the status to say that it has no effect' },
      );
      expect((await mtls.call(teapot)).status).toBe(418);
      await undo();
    },
    timeoutMs,
  );

  test(
    'is described as what it stands for, with its endpoints, and turned while the mesh runs',
    async () => {
      const described = await mtls.mesh.out('describe', 'service', 'legacy');
      expect(described).toContain('Alias of:    api.default.svc.cluster.local');
      expect(described).toMatch(/Endpoints:\n.*api.*healthy/);
      const call = (): Promise<{ status: number; body: string }> =>
        mtls.call('http://backend.default.svc.cluster.local:8088/');
      expect((await call()).status).not.toBe(200);
      writeFileSync(
        join(mtls.dir, 'mesh/aliases.yaml'),
        [
          alias('backend', 'web'),
          alias('legacy', 'backend'),
          alias('old-bytes', 'bytes'),
          strict,
          route,
        ].join('---\n'),
      );
      await waitFor(
        async () =>
          (await call()).body.startsWith('By=spiffe://cluster.local/ns/default/sa/web;') ? true : undefined,
        {
          what: 'the alias to lead to another service',
        },
      );
      writeFileSync(
        join(mtls.dir, 'mesh/aliases.yaml'),
        [alias('backend', 'legacy'), alias('legacy', 'backend'), strict, route].join('---\n'),
      );
      await waitFor(
        async () =>
          (await mtls.mesh.out('describe', 'service', 'legacy')).includes('goes in a circle')
            ? true
            : undefined,
        { what: 'the circle to be described' },
      );
    },
    timeoutMs,
  );
});
