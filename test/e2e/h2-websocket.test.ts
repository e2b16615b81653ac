/** WebSockets by `ws`, Node and Python, where HTTP/2 is on one side or both. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { join } from 'node:path';
import { cleanUp, freePort, spawnCommand } from '@sluice/testkit';
import { output, startH2Proxy } from './h2-fixture.ts';
import { findProgram, type ProxyUnderTest } from './proxy-fixture.ts';

afterAll(cleanUp);

const node = findProgram('node');
const python = findProgram('python3');
const hasWebSockets = python !== null && Bun.spawnSync([python, '-c', 'import websockets']).exitCode === 0;
const isReady = node !== null && hasWebSockets;
const scripts = join(import.meta.dir, 'h2');
let proxy: ProxyUnderTest;

beforeAll(async () => {
  if (!isReady) {
    console.warn('SKIPPED: node or python3 with websockets is not on this machine');
    return;
  }
  const [h1, h2] = [freePort(), freePort()];
  await Promise.all([
    spawnCommand([python, join(scripts, 'websocket_server.py'), String(h1)]).waitForLine(/listening/),
    spawnCommand([node, join(scripts, 'server.mjs'), String(h2)]).waitForLine(/listening/),
  ]);
  proxy = await startH2Proxy({
    python: { port: h1, protocol: 'h1' },
    node: { port: h2, protocol: 'h2' },
  });
}, 30_000);

const messages = ['first', 'second', 'x'.repeat(100_000)];
const echoed = messages.map((message) => `message ${message}`);

async function talk(script: string, host: string): Promise<string[]> {
  const out = await output([node!, join(scripts, script), String(proxy.port), host, ...messages]);
  return out.trim().split('\n');
}

test.skipIf(!isReady)('over HTTP/2 to a server of HTTP/1.1', async () => {
  expect(await talk('websocket-h2.mjs', 'python.test')).toEqual(['status 200', ...echoed]);
});

test.skipIf(!isReady)('over HTTP/1.1 to a server of HTTP/2', async () => {
  expect(await talk('websocket-h1.mjs', 'node.test')).toEqual([...echoed, 'closed 1000']);
});

test.skipIf(!isReady)('over HTTP/2 on both sides', async () => {
  expect(await talk('websocket-h2.mjs', 'node.test')).toEqual(['status 200', ...echoed]);
});

test.skipIf(!isReady)('over HTTP/1.1 on both sides', async () => {
  expect(await talk('websocket-h1.mjs', 'python.test')).toEqual([...echoed, 'closed 1000']);
});
