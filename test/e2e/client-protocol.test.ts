/** `useClientProtocol` between sidecars, mutual TLS underneath: requests keep the HTTP that their client speaks. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { cleanUp, waitFor } from '@sluice/testkit';
import { output } from './h2-fixture.ts';
import { MtlsMesh } from './mtls-fixture.ts';
import { findProgram } from './proxy-fixture.ts';

const timeoutMs = 90_000;
const isReady = process.platform === 'linux' && findProgram('curl') !== null;
const cluster = 'outbound|8089||api.default.svc.cluster.local';
const rule = `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: api}
spec: {host: api, trafficPolicy: {connectionPool: {http: {useClientProtocol: true}}}}
`;

afterAll(cleanUp, timeoutMs);

describe.if(isReady)('a rule that keeps the protocol of clients', () => {
  let mtls: MtlsMesh;
  let listenerPort = '';
  let adminPort = '';

  beforeAll(async () => {
    mtls = await MtlsMesh.start();
    const listeners = await mtls.mesh.out('proxy-config', 'listeners', 'web');
    listenerPort = /(\d+) +ALL +Route: api\./.exec(listeners)?.[1] ?? '';
    adminPort = /^web .*:(\d+)$/m.exec(await mtls.mesh.out('status'))?.[1] ?? '';
  }, timeoutMs);

  async function ask(flag: string): Promise<string> {
    const more = ['-sS', '--max-time', '10', '-w', ' HTTP/%{http_version} %{http_code}'];
    return output(['curl', flag, ...more, `http://127.0.0.1:${listenerPort}/`]);
  }

  /** Connections that web's sidecar made to api, by protocol. */
  async function made(): Promise<{ http1: number; http2: number }> {
    const text = await (await fetch(`http://127.0.0.1:${adminPort}/stats`)).text();
    const count = (name: string): number =>
      Number(
        text
          .split('\n')
          .find((line) => line.startsWith(`cluster.${cluster}.${name}:`))
          ?.split(' ')
          .at(-1) ?? 0,
      );
    return { http1: count('upstream_cx_http1_total'), http2: count('upstream_cx_http2_total') };
  }

  test(
    'is followed for each request, and lets go of it when it goes',
    async () => {
      const isMutual = /^By=spiffe:.*URI=spiffe:\/\/cluster\.local\/ns\/default\/sa\/web HTTP\//;
      expect(await ask('--http2-prior-knowledge')).toMatch(isMutual);
      expect(await made()).toMatchObject({ http2: 0 });
      const undo = await mtls.apply(rule);
      await waitFor(
        async () => {
          expect(await ask('--http2-prior-knowledge')).toMatch(isMutual);
          return (await made()).http2 > 0 ? true : undefined;
        },
        { what: 'a connection of HTTP/2' },
      );
      const before = await made();
      expect(await ask('--http1.1')).toEndWith('HTTP/1.1 200');
      expect(await ask('--http2-prior-knowledge')).toEndWith('HTTP/2 200');
      expect(await ask('--http1.1')).toMatch(isMutual);
      // The pool of each stays: nothing is connected anew when clients take turns.
      expect(await made()).toEqual({ http1: before.http1 + 1, http2: before.http2 });
      await undo();
      await waitFor(
        async () => {
          expect(await ask('--http2-prior-knowledge')).toMatch(isMutual);
          return (await made()).http1 > before.http1 + 1 ? true : undefined;
        },
        { what: 'HTTP/1 again' },
      );
    },
    timeoutMs,
  );
});
