/** Attacks on HTTP/2 against a proxy process: each is ended, and counted under the name that an operator looks for. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { connect, type Socket } from 'node:net';
import { cleanUp, onCleanUp, waitFor } from '@sluice/testkit';
import { startH2Proxy } from './h2-fixture.ts';
import { admin, type ProxyUnderTest } from './proxy-fixture.ts';

const [DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION] = [
  0, 1, 2, 3, 4, 6, 7, 8, 9,
];
const UNKNOWN = 0x42;
const [END_STREAM, END_HEADERS] = [0x1, 0x4];
const ENHANCE_YOUR_CALM = 11;
const INITIAL_WINDOW_SIZE = [0, 4];
const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
/** GET or POST / of `silent.test`, indexed but for the authority (RFC 7541 C.2). */
const fields = (method: 0x82 | 0x83, host = 'silent.test'): Buffer =>
  Buffer.concat([Buffer.of(method, 0x86, 0x84, 0x01, host.length), Buffer.from(host)]);
const streams = (count: number): number[] => Array.from({ length: count }, (_, i) => 2 * i + 1);
const many = (count: number, one: Buffer): Buffer[] => Array.from({ length: count }, () => one);

let proxy: ProxyUnderTest;

beforeAll(async () => {
  const silent = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    idleTimeout: 0,
    fetch: () => new Promise<never>(() => {}),
  });
  const large = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response('x'.repeat(100_000)) });
  onCleanUp(() => silent.stop(true));
  onCleanUp(() => large.stop(true));
  proxy = await startH2Proxy(
    { silent: { port: silent.port!, protocol: 'h1' }, large: { port: large.port!, protocol: 'h1' } },
    { stream_idle_timeout: '1s' },
  );
}, 30_000);
afterAll(cleanUp);

test.each<[string, string, readonly Buffer[]]>([
  [
    'resets what it opens (CVE-2023-44487)',
    'inbound_reset_flood',
    streams(1000).flatMap((id) => [open(id), frame(RST_STREAM, 0, id, [0, 0, 0, 8])]),
  ],
  [
    'makes us reset what it opens (CVE-2025-8671)',
    'inbound_reset_flood',
    streams(1000).flatMap((id) => [open(id), frame(WINDOW_UPDATE, 0, id, [0, 0, 0, 0])]),
  ],
  [
    'never ends a header block (CVE-2024-27316)',
    'inbound_continuation_flood',
    [frame(HEADERS, 0, 1, fields(0x82)), ...many(1000, frame(CONTINUATION, 0, 1, [0x82]))],
  ],
  [
    'sends frames without content (CVE-2019-9518)',
    'inbound_empty_frames_flood',
    [frame(HEADERS, END_HEADERS, 1, fields(0x83)), ...many(1000, frame(DATA, 0, 1))],
  ],
  ['pings (CVE-2019-9512)', 'inbound_control_flood', many(20_000, frame(PING, 0, 0, Buffer.alloc(8)))],
  ['sends SETTINGS (CVE-2019-9515)', 'inbound_control_flood', many(5000, frame(SETTINGS, 0, 0))],
  ['sends frames of unknown types', 'inbound_control_flood', many(20_000, frame(UNKNOWN, 0, 0))],
  [
    'sends PRIORITY (CVE-2019-9513)',
    'inbound_priority_frames_flood',
    many(1000, frame(PRIORITY, 0, 3, [0, 0, 0, 0, 1])),
  ],
  [
    'sends WINDOW_UPDATE',
    'inbound_window_update_frames_flood',
    many(1000, frame(WINDOW_UPDATE, 0, 0, [0, 0, 0, 1])),
  ],
])('a client that %s is told to calm down, and counted as %s', async (_, counter, frames) => {
  const before = await count(`http2.${counter}`);
  const client = dial();
  client.socket.write(Buffer.concat(frames));
  expect(await client.goaway()).toBe(ENHANCE_YOUR_CALM);
  await waitForCount(`http2.${counter}`, before + 1);
});

test('streams beyond the limit are refused and counted, those below it go on', async () => {
  const client = dial();
  client.socket.write(Buffer.concat(streams(1034).map(open)));
  await waitForCount('http2.streams_refused', 10);
  expect(await count('http2.streams_active')).toBe(1024);
  client.socket.destroy();
  await waitForCount('http2.streams_active', 0);
});

test('header lists that a few octets make large are counted, and not expanded', async () => {
  const client = dial();
  const field = Buffer.concat([Buffer.of(0x40, 1, 0x78, 0x7f, 0x81, 0x1d), Buffer.alloc(3840, 'v')]);
  client.socket.write(frame(HEADERS, END_HEADERS | END_STREAM, 1, Buffer.concat([fields(0x82), field])));
  const bomb = Buffer.concat([fields(0x82), Buffer.alloc(15_000, 0x80 | 62)]);
  client.socket.write(frame(HEADERS, END_HEADERS | END_STREAM, 3, bomb));
  await waitForCount('http2.header_overflow', 1);
  client.socket.destroy();
});

test('clients that give no window lose their streams after the idle timeout', async () => {
  const client = dial([...INITIAL_WINDOW_SIZE, 0, 0, 0, 0]);
  const head = frame(HEADERS, END_HEADERS | END_STREAM, 1, fields(0x82, 'large.test'));
  client.socket.write(head);
  await waitForCount('http2.tx_flush_timeout', 1);
  client.socket.destroy();
});

test('after all of it a request is served', async () => {
  const reply = await fetch(`http://127.0.0.1:${proxy.port}/`, { headers: { host: 'large.test' } });
  expect((await reply.text()).length).toBe(100_000);
  expect((await admin(proxy, '/ready')).status).toBe(200);
});

/** A connection past its preface; `goaway` is the error code of the GOAWAY that ends it. */
function dial(settings: readonly number[] = []): { socket: Socket; goaway: () => Promise<number> } {
  const socket = connect(proxy.port, '127.0.0.1');
  onCleanUp(() => void socket.destroy());
  let received = Buffer.alloc(0);
  socket.on('data', (data: Buffer) => (received = Buffer.concat([received, data])));
  socket.on('error', () => {}); // Writing to what has been cut off: the GOAWAY before it is what counts.
  const over = new Promise((resolve) => socket.once('close', resolve));
  socket.write(Buffer.concat([preface, frame(SETTINGS, 0, 0, settings)]));
  return { socket, goaway: () => over.then(() => goawayCode(received)) };
}

function goawayCode(octets: Buffer): number {
  for (let at = 0; at + 9 <= octets.length; at += 9 + octets.readUIntBE(at, 3))
    if (octets[at + 3] === GOAWAY) return octets.readUInt32BE(at + 13);
  return Number.NaN;
}

function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Buffer | readonly number[] = [],
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.set([type, flags], 3);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, new Uint8Array(payload)]);
}

function open(stream: number): Buffer {
  return frame(HEADERS, END_HEADERS | END_STREAM, stream, fields(0x82));
}

async function count(name: string): Promise<number> {
  const stats = await (await admin(proxy, '/stats')).text();
  const line = stats.split('\n').find((one) => one.startsWith(`${name}: `));
  return line === undefined ? 0 : Number(line.split(' ')[1]);
}

async function waitForCount(name: string, value: number): Promise<void> {
  await waitFor(async () => ((await count(name)) === value ? true : undefined), { what: `${name} ${value}` });
}
