import { expect, test } from 'bun:test';
import { connect } from 'node:net';
import { createLogger } from '@sluice/runtime';
import { json, replyTo } from './api/reply.ts';
import { parseAddress, startHttpServer } from './http-server.ts';
import { readBody } from './body.ts';

const log = createLogger({ component: 'test', write: () => {} });
const options = { flag: '--api-address', purpose: 'API', fetch: () => new Response('ok') };

test('an address is host and port, the host may be left out', () => {
  expect(parseAddress('15080', '--x')).toEqual({ host: '127.0.0.1', port: 15080 });
  expect(parseAddress(':0', '--x')).toEqual({ host: '127.0.0.1', port: 0 });
  expect(parseAddress('[::1]:8', '--x')).toEqual({ host: '::1', port: 8 });
  for (const bad of ['', 'x', '1.2.3.4', 'a b:1', '1:2:3', '127.0.0.1:99999']) {
    expect(() => parseAddress(bad, '--x')).toThrow(/is not an address/);
  }
});

test('a taken port is one sentence with the port and the flag', async () => {
  const first = startHttpServer({ ...options, address: '127.0.0.1:0' });
  try {
    expect(() => startHttpServer({ ...options, address: `127.0.0.1:${first.port}` })).toThrow(
      `port ${first.port} on 127.0.0.1 (API) is already in use; stop what uses it, or choose another with --api-address`,
    );
  } finally {
    await first.close();
  }
});

test('an address beyond loopback is refused, since there is no TLS', () => {
  for (const address of ['0.0.0.0:15080', '192.0.2.1:15080', '[::]:15080', 'example.com:80']) {
    expect(() => startHttpServer({ ...options, address })).toThrow(/not protected by TLS/);
  }
});

test('bodies are bounded in size and time', async () => {
  const limits = { maxBytes: 10, timeoutMs: 50 };
  const server = startHttpServer({
    ...options,
    address: '127.0.0.1:0',
    fetch: (request) => replyTo(log, async () => json(200, await readBody(request, limits))),
  });
  try {
    const url = `http://${server.address}/`;
    expect(await (await fetch(url, { method: 'POST', body: 'short' })).json()).toBe('short');
    expect((await fetch(url, { method: 'POST', body: 'x'.repeat(11) })).status).toBe(413);
    expect((await fetch(url, { method: 'POST', body: new Uint8Array([0xff, 0xfe]) })).status).toBe(400);
    expect(
      await firstLine(server.port, 'POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8\r\n\r\nslo'),
    ).toContain('408');
    const chunked = `POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n14\r\n${'x'.repeat(20)}\r\n0\r\n\r\n`;
    expect(await firstLine(server.port, chunked)).toContain('413');
  } finally {
    await server.close();
  }
});

function firstLine(port: number, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    socket.once('data', (chunk: Buffer) => {
      socket.destroy();
      resolve(chunk.toString().split('\r\n')[0] ?? '');
    });
    socket.once('error', reject);
  });
}
