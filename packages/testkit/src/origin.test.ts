import { afterAll, expect, test } from 'bun:test';
import { cleanUp } from './cleanup.ts';
import { startHttpOrigin, startStatusOrigin } from './http-origin.ts';
import { startEchoOrigin, startGreetingOrigin, startOrigin } from './origin.ts';
import { connectPeer } from './peer-connection.ts';
import { waitFor } from './poll.ts';
import { blackholePort, freePort, refusingPort } from './ports.ts';

afterAll(cleanUp);

test('an echo origin gives back megabytes and ends after its peer', async () => {
  const peer = await connectPeer(startEchoOrigin().port);
  const sent = new Uint8Array(3_000_000).map((_, i) => i % 251);
  const writing = peer.write(sent).then(() => peer.end());
  const received = await peer.readToEnd();
  await writing;
  expect(Buffer.compare(received, sent)).toBe(0);
  expect(await peer.closed).toBe('closed');
});

test('a script decides when each byte goes out', async () => {
  const gate = Promise.withResolvers<void>();
  const origin = startOrigin(async (connection) => {
    await connection.write('first');
    await gate.promise;
    await connection.write('second');
    connection.end();
  });
  const peer = await connectPeer(origin.port);
  expect(await peer.readThrough('first')).toBe('first');
  expect(peer.totalReceived).toBe(5);
  gate.resolve();
  expect(Buffer.from(await peer.readToEnd()).toString()).toBe('second');
});

test('a reset arrives as a reset', async () => {
  const origin = startOrigin(async (connection) => {
    await connection.readExactly(1);
    connection.reset();
  });
  const peer = await connectPeer(origin.port);
  await peer.write('x');
  expect(await peer.closed).toBe('reset');
  expect([peer.isOpen, await peer.write('y'), await peer.read()]).toEqual([false, false, undefined]);
});

test('a script that does not read stops its peer', async () => {
  const gate = Promise.withResolvers<void>();
  const origin = startOrigin(async (connection) => {
    await gate.promise;
    await connection.readToEnd();
    connection.end();
  });
  const peer = await connectPeer(origin.port);
  let hasWritten = false;
  const writing = peer.write(new Uint8Array(64 * 2 ** 20)).then(() => (hasWritten = true));
  await waitFor(() => (origin.connections[0]?.totalReceived ?? 0) > 0);
  expect(hasWritten).toBe(false);
  gate.resolve();
  await writing;
  peer.end();
  await peer.closed;
  expect(origin.connections[0]!.totalReceived).toBe(64 * 2 ** 20);
});

test('what a script throws fails the test at stop', async () => {
  const origin = startOrigin(() => {
    throw new Error('bad script');
  });
  await (
    await connectPeer(origin.port)
  ).closed;
  expect(() => origin.stop()).toThrow('bad script');
});

test('a greeting comes without being asked for', async () => {
  const peer = await connectPeer(startGreetingOrigin('220 ready\r\n').port);
  expect(Buffer.from(await peer.readToEnd()).toString()).toBe('220 ready\r\n');
});

test('an HTTP origin records requests as they came and answers in order on one connection', async () => {
  const origin = startHttpOrigin(({ target }) => ({ body: `for ${target}` }));
  const peer = await connectPeer(origin.port);
  await peer.write(
    'POST /a HTTP/1.1\r\nHOST: x\r\nTransfer-Encoding: chunked\r\n\r\n3;e=1\r\nabc\r\n0\r\nSum: 1\r\n\r\n',
  );
  await peer.write('PUT /b HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nhi');
  await peer.write('HEAD /c HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
  const replies = Buffer.from(await peer.readToEnd()).toString();
  expect(replies).toBe(
    'HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nfor /a' +
      'HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nfor /b' +
      'HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n',
  );
  const [a, b, c] = origin.requests;
  expect([a!.headers[0], a!.trailers]).toEqual([['HOST', 'x'], [['Sum', '1']]]);
  expect([a!.body, b!.body].map((body) => Buffer.from(body).toString())).toEqual(['abc', 'hi']);
  expect([c!.method, c!.connectionIndex, c!.header('Connection')]).toEqual(['HEAD', 0, 'close']);
});

test('a real client understands it', async () => {
  const origin = startStatusOrigin(503);
  const response = await fetch(`http://${origin.address}/`);
  expect([response.status, await response.text()]).toEqual([503, 'status 503\n']);
});

test('free ports do not repeat; a refusing one refuses', async () => {
  const ports = new Set(Array.from({ length: 20 }, () => freePort()));
  expect(ports.size).toBe(20);
  await expect(connectPeer(refusingPort())).rejects.toThrow();
});

test.skipIf(process.platform !== 'linux')('a blackhole leaves connects pending', async () => {
  const port = await blackholePort();
  let outcome = 'pending';
  void connectPeer(port).then(
    () => (outcome = 'opened'),
    () => (outcome = 'failed'),
  );
  // A round trip to a neighbour is time enough for a live port to have answered.
  await (await connectPeer(startEchoOrigin().port)).write('x');
  await connectPeer(startEchoOrigin().port);
  expect(outcome).toBe('pending');
});
