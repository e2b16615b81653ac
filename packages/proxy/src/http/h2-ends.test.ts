/** Ends that come before their time, in the four pairings: early answers, deaths, cancellations, large heads. */
import { describe, expect, test } from 'bun:test';
import http2 from 'node:http2';
import { turns } from '@sluice/testkit';
import { forwardTo, testRoute } from './test-doubles.ts';
import { freshWorlds } from './test-fresh-world.ts';
import { H2TestClient, H2TestUpstream } from './test-h2.ts';
import { DATA, frame, framed, headers, HEADERS, ok, reset } from './test-h2-frames.ts';
import { World } from './test-world.ts';

let world: World;
freshWorlds(() => (world = new World()));

const large = 'v'.repeat(30_000);

/** An endpoint that behaves by path; `open` counts requests that have begun and not ended. */
interface Endpoint {
  readonly port: number;
  readonly begun: () => number;
  readonly open: () => number;
}

function h1Endpoint(): Endpoint {
  let begun = 0;
  const upstream = world.upstream((peer, text) => {
    if (!text.includes('\r\n\r\n')) return;
    if (/^\S+ \/never/.test(text)) begun = Math.max(begun, upstream.connectionCount);
    else if (text.startsWith('POST /early'))
      peer.send('HTTP/1.1 413 Too Large\r\nContent-Length: 6\r\n\r\nenough');
    else if (text.startsWith('GET /half')) {
      peer.send('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf');
      setTimeout(() => peer.reset(), 5);
    } else if (text.startsWith('GET /large')) {
      const got = /x-large: (v*)/i.exec(text)?.[1]?.length ?? 0;
      peer.send(`HTTP/1.1 200 OK\r\nX-Got: ${got}\r\nX-Large: ${large}\r\nContent-Length: 0\r\n\r\n`);
    }
    peer.clear();
  });
  return { port: upstream.port, begun: () => begun, open: () => upstream.openCount };
}

async function h2Endpoint(): Promise<Endpoint> {
  let begun = 0;
  let open = 0;
  const upstream = await new H2TestUpstream(({ stream, headers: fields }) => {
    open++;
    stream.on('close', () => open--);
    switch (fields[':path']) {
      case '/never':
        begun++;
        return;
      case '/early':
        stream.respond({ ':status': 413 });
        stream.end('enough');
        return;
      default:
        stream.respond({ ':status': 200, 'x-got': String(fields['x-large']).length, 'x-large': large });
        stream.end();
    }
  }).listen();
  world.owns(upstream);
  return { port: upstream.port, begun: () => begun, open: () => open };
}

/** The runtime's own server ends a stream in order before it resets it; this one does not. */
function dyingH2(): { port: number } {
  return world.upstream(
    framed((peer, { type, stream }) => {
      if (type !== HEADERS) return;
      peer.send(headers(stream, ok, 0));
      peer.send(frame(DATA, 0, stream, 'half'));
      peer.send(reset(stream, 2));
    }),
  );
}

function h2Client(port: number): H2TestClient {
  return world.owns(new H2TestClient(port));
}

const pairings = [
  ['h1', 'h1'],
  ['h1', 'h2'],
  ['h2', 'h1'],
  ['h2', 'h2'],
] as const;

for (const [down, up] of pairings) {
  describe(`${down} → ${up}`, () => {
    async function setup(): Promise<{ port: number; endpoint: Endpoint }> {
      const endpoint = up === 'h1' ? h1Endpoint() : await h2Endpoint();
      world.cluster('a', [endpoint.port], { protocol: up });
      return { port: world.listen(() => testRoute(forwardTo('a'))), endpoint };
    }

    test('an answer that comes before the request is whole reaches the client', async () => {
      const { port } = await setup();
      if (down === 'h1') {
        const client = await world.client(port);
        client.send('POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nbeginning');
        const answer = await client.response();
        expect(answer.status).toBe(413);
        expect(answer.head).toContain('connection: close');
      } else {
        const call = h2Client(port).call({ ':method': 'POST', ':path': '/early' }, { end: false });
        call.stream.write('beginning');
        await call.until(() => call.body === 'enough');
        expect(call.status).toBe(413);
      }
      await world.log.until(1);
      expect(world.log.lines[0]).toMatchObject({ status: 413, flags: 0, bytesSent: 6 });
    });

    test('an endpoint that dies in the middle of its answer is noticed', async () => {
      const { port } = await setup();
      if (up === 'h2') world.cluster('a', [dyingH2().port], { protocol: 'h2' });
      if (down === 'h1') {
        const client = await world.client(port);
        client.send('GET /half HTTP/1.1\r\nHost: a\r\n\r\n');
        await client.untilClosed();
        expect(client.text).toContain('half');
        expect(client.text).not.toEndWith('0\r\n\r\n');
      } else {
        const call = await h2Client(port).get('/half');
        expect(call).toMatchObject({ status: 200, body: 'half' });
        expect(call.resetCode).not.toBe(0);
      }
      await world.log.until(1);
      expect(world.log.lines[0]!.details).toStartWith('upstream_reset_after_response_started');
    });

    test('a client that gives up cancels the attempt', async () => {
      const { port, endpoint } = await setup();
      if (down === 'h1') {
        const client = await world.client(port);
        client.send('GET /never HTTP/1.1\r\nHost: a\r\n\r\n');
        while (endpoint.begun() === 0) await turns();
        client.reset();
      } else {
        const call = h2Client(port).call({ ':path': '/never' });
        while (endpoint.begun() === 0) await turns();
        call.stream.close(http2.constants.NGHTTP2_CANCEL);
      }
      while (endpoint.open() > 0) await turns();
      await world.log.until(1);
      expect(world.log.lines[0]!.status).toBe(0);
    });

    test('heads of 30 KB pass in both directions', async () => {
      const { port } = await setup();
      if (down === 'h1') {
        const client = await world.client(port);
        client.send(`GET /large HTTP/1.1\r\nHost: a\r\nX-Large: ${large}\r\n\r\n`);
        await client.until(() => client.text.includes('\r\n\r\n'));
        expect(client.text.toLowerCase()).toContain('x-got: 30000\r\n');
        expect(client.text.toLowerCase()).toContain(`x-large: ${large}\r\n`);
      } else {
        const call = await h2Client(port).get('/large', { 'x-large': large });
        expect(call.headers['x-got']).toBe('30000');
        expect(call.headers['x-large']).toBe(large);
      }
    });
  });
}
