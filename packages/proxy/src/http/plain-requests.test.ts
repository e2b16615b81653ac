import { afterEach, beforeEach, expect, test } from 'bun:test';
import { forwardTo, testRoute } from './test-doubles.ts';
import { answering, reply, World } from './test-world.ts';

let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => {
  world.close();
  expect(world.errors).toEqual([]);
});

test('a request goes through, and the response comes back', async () => {
  const upstream = world.upstream(answering(reply('hello')));
  world.cluster('a', [upstream.port]);
  const port = world.listen(() => testRoute(forwardTo('a')));
  const client = await world.client(port);
  client.send('GET /x?y=1 HTTP/1.1\r\nHost: reviews:9080\r\nUser-Agent: test\r\n\r\n');
  const response = await client.response();
  expect(response.status).toBe(200);
  expect(response.body).toBe('hello');
  expect(response.head).toContain('x-envoy-upstream-service-time: 0');
  expect(response.head).toContain('server: envoy');
  const sent = upstream.texts[0]!;
  expect(sent).toStartWith('GET /x?y=1 HTTP/1.1\r\nHost: reviews:9080\r\nUser-Agent: test\r\n');
  expect(sent).toMatch(/x-request-id: [0-9a-f-]{36}\r\n/);
  expect(sent).toContain('x-forwarded-proto: http\r\n');
  expect(sent).toContain('x-envoy-expected-rq-timeout-ms: 15000\r\n');
  await world.log.until(1);
  expect(world.log.lines[0]).toMatchObject({ status: 200, flags: 0, details: 'via_upstream', attempts: 1, bytesSent: 5 });
});
