/** WebSockets in a mesh by `sluice up`, mutual TLS underneath: whichever HTTP the client and the server speak. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cleanUp, makeTempDir } from '@sluice/testkit';
import { output } from './h2-fixture.ts';
import { findProgram } from './proxy-fixture.ts';
import { MeshUnderTest } from './up-mesh.ts';

const timeoutMs = 90_000;
const node = findProgram('node');
const python = findProgram('python3');
const hasWebSockets = python !== null && Bun.spawnSync([python, '-c', 'import websockets']).exitCode === 0;
const isReady = process.platform === 'linux' && node !== null && hasWebSockets;
const scripts = join(import.meta.dir, 'h2');

/** `old` takes WebSockets by HTTP/1.1, `new` by HTTP/2 alone. */
const meshFile = `name: websockets
workloads:
  web: { command: sh -c 'exec python3 -m http.server -b 127.0.0.1 $PORT', port: 8088, readiness: { http: / } }
  old: { command: sh -c 'exec python3 ${join(scripts, 'websocket_server.py')} $PORT', port: 8089 }
  new: { command: sh -c 'exec node ${join(scripts, 'server.mjs')} $PORT', ports: [{ name: http2, port: 8090 }] }
`;

afterAll(cleanUp, timeoutMs);

describe.if(isReady)('a WebSocket through two sidecars', () => {
  let mesh: MeshUnderTest;
  let listeners = '';

  beforeAll(async () => {
    const dir = makeTempDir();
    mkdirSync(join(dir, 'mesh'));
    writeFileSync(join(dir, 'sluice.yaml'), meshFile);
    mesh = await MeshUnderTest.start(dir);
    listeners = await mesh.out('proxy-config', 'listeners', 'web');
  }, timeoutMs);

  const echoed = ['message one', 'message two'];
  test.each([
    ['h1', 'old', [...echoed, 'closed 1000']],
    ['h1', 'new', [...echoed, 'closed 1000']],
    ['h2', 'old', ['status 200', ...echoed]],
    ['h2', 'new', ['status 200', ...echoed]],
  ])(
    'from a client of %s to the server "%s"',
    async (client, service, expected) => {
      const port = new RegExp(`(\\d+) +ALL +Route: ${service}\\.`).exec(listeners)?.[1] ?? 'no listener';
      const said = await output([node!, join(scripts, `websocket-${client}.mjs`), port, 'x', 'one', 'two']);
      expect(said.trim().split('\n')).toEqual(expected);
      const { out } = await mesh.cli('status', 'web', '--edges');
      expect(out).toMatch(
        new RegExp(`web\\.default +${service}\\.default\\.svc\\.cluster\\.local:\\d+ +mutual TLS`),
      );
    },
    timeoutMs,
  );
});
