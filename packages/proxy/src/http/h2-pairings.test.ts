/** The four pairings of HTTP/1.1 and HTTP/2 through one exchange: what goes in comes out, in either direction. */
import { describe, expect, test } from 'bun:test';
import { forwardTo, testRoute } from './test-doubles.ts';
import { freshWorlds } from './test-fresh-world.ts';
import { echo, H2TestClient, H2TestUpstream, type H2Script } from './test-h2.ts';
import { World, type RawClient, type UpstreamScript } from './test-world.ts';

let world: World;
freshWorlds(() => (world = new World()));

interface Answer {
  status: number;
  body: string;
  trailers: Record<string, string>;
}

interface Asker {
  /** A POST with this body and these trailers, to its end. */
  post(body: string, trailers?: Record<string, string>): Promise<Answer>;
}

async function h1Client(port: number): Promise<Asker> {
  const client = await world.client(port);
  return {
    async post(body, trailers = {}) {
      const lines = Object.entries(trailers).map(([name, value]) => `${name}: ${value}\r\n`);
      client.send('POST /p HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n');
      if (body !== '') client.send(`${body.length.toString(16)}\r\n${body}\r\n`);
      client.send(`0\r\n${lines.join('')}\r\n`);
      return readChunked(client);
    },
  };
}

async function readChunked(client: RawClient): Promise<Answer> {
  await client.until(
    () => /\r\n0\r\n(.+\r\n)*\r\n$/.test(client.text) || /content-length/i.test(client.text),
  );
  const headEnd = client.text.indexOf('\r\n\r\n');
  const status = Number(client.text.split(' ')[1]);
  let rest = client.text.slice(headEnd + 4);
  let body = '';
  for (;;) {
    const lineEnd = rest.indexOf('\r\n');
    const size = Number.parseInt(rest.slice(0, lineEnd), 16);
    rest = rest.slice(lineEnd + 2);
    if (size === 0) break;
    body += rest.slice(0, size);
    rest = rest.slice(size + 2);
  }
  const trailers = Object.fromEntries(
    rest
      .split('\r\n')
      .filter((line) => line !== '')
      .map((line) => line.split(': ') as [string, string]),
  );
  client.text = '';
  return { status, body, trailers };
}

async function h2Client(port: number): Promise<Asker> {
  const client = world.owns(new H2TestClient(port));
  return {
    async post(body, trailers = {}) {
      const call = client.call(
        { ':method': 'POST', ':path': '/p', te: 'trailers' },
        { end: false, trailers },
      );
      call.stream.end(body);
      await call.end();
      const received = Object.entries(call.trailers ?? {}).map(([name, value]) => [name, String(value)]);
      return {
        status: call.status,
        body: call.body,
        trailers: Object.fromEntries(received) as Record<string, string>,
      };
    },
  };
}

/** Sends back body and trailers once the request is whole. */
const h1Echo: UpstreamScript = (peer, text) => {
  const end = /\r\n0\r\n((?:.+\r\n)*)\r\n$/.exec(text);
  if (end === null) return;
  peer.clear();
  const body = text.slice(text.indexOf('\r\n\r\n') + 4);
  peer.send(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${body}`);
};

async function h2Upstream(script: H2Script = echo): Promise<H2TestUpstream> {
  return world.owns(await new H2TestUpstream(script).listen());
}

const clients = { h1: h1Client, h2: h2Client };
const pairings = [
  ['h1', 'h1'],
  ['h1', 'h2'],
  ['h2', 'h1'],
  ['h2', 'h2'],
] as const;

for (const [down, up] of pairings) {
  describe(`${down} → ${up}`, () => {
    async function setup(): Promise<Asker> {
      const port = up === 'h1' ? world.upstream(h1Echo).port : (await h2Upstream()).port;
      world.cluster('a', [port], { protocol: up });
      return clients[down](world.listen(() => testRoute(forwardTo('a'))));
    }

    test('a body and its trailers go there and back', async () => {
      const client = await setup();
      const answer = await client.post('hello', { 'x-sum': '42' });
      expect(answer).toEqual({ status: 200, body: 'hello', trailers: { 'x-sum': '42' } });
    });

    test('one request after the other on the same connections', async () => {
      const client = await setup();
      for (let i = 0; i < 5; i++)
        expect(await client.post(`body ${i}`)).toEqual({ status: 200, body: `body ${i}`, trailers: {} });
      await world.log.until(5);
      expect(world.log.lines.map((line) => line.status)).toEqual([200, 200, 200, 200, 200]);
    });
  });
}
