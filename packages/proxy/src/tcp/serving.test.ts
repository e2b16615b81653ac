import { describe, expect, test } from 'bun:test';
import { blackholePort, refusingPort, turns } from '@sluice/testkit';
import type { ListenerFilterBinding, NetworkFilterBinding } from '../filter/filter.ts';
import { forwardTo, testManager, testRoute } from '../http/test-doubles.ts';
import { freshWorlds } from '../http/test-fresh-world.ts';
import { answering, reply } from '../http/test-world.ts';
import { FLAG } from '../telemetry/response-flags.ts';
import { chainOf, limitsOf, ServingWorld } from './test-serving.ts';

let world: ServingWorld;
freshWorlds(() => (world = new ServingWorld()));

describe('TCP proxy', () => {
  test('octets go both ways, half-closes are passed on, bytes are counted', async () => {
    const upstream = world.upstream((peer, text) => {
      if (text === 'question') peer.send('an answer');
    });
    const cluster = world.cluster('db', [upstream.port]);
    const client = await world.client(world.serve(chainOf(world.tcpTo('db'))));
    client.send('question');
    await client.until(() => client.text === 'an answer');
    client.end();
    await client.untilClosed();
    await world.lines.until(1);
    expect(world.lines.lines[0]).toMatchObject({ bytesReceived: 8, bytesSent: 9, flags: 0 });
    await upstream.until(() => upstream.openCount === 0);
    expect(cluster.limits.connections.current).toBe(0);
    expect(cluster.endpoints[0]!.stats.activeConnections).toBe(0);
  });

  test('a server that speaks first is heard', async () => {
    const upstream = Bun.listen({
      hostname: '127.0.0.1',
      port: 0,
      socket: { open: (socket) => void socket.write('220 ready\r\n'), data() {} },
    });
    world.cluster('smtp', [upstream.port]);
    const client = await world.client(world.serve(chainOf(world.tcpTo('smtp'))));
    await client.until(() => client.text === '220 ready\r\n');
    upstream.stop(true);
  });

  test('a refused endpoint is followed by the next, up to the limit', async () => {
    const good = world.upstream((peer) => peer.send('here'));
    world.cluster('db', [refusingPort(), good.port]);
    const client = await world.client(world.serve(chainOf(world.tcpTo('db', { maxConnectAttempts: 2 }))));
    client.send('x');
    await client.until(() => client.text === 'here');
    client.reset();
    await world.lines.until(1);
    expect(world.lines.lines[0]).toMatchObject({ attempts: 2 });
  });

  test('UF when none accepts, UH when there is none, NC without a cluster', async () => {
    world.cluster('dead', [refusingPort()]);
    world.cluster('empty', []);
    for (const name of ['dead', 'empty', 'missing'])
      await (await world.client(world.serve(chainOf(world.tcpTo(name))))).untilClosed();
    await world.lines.until(3);
    expect(world.lines.lines.map((line) => line.flags).sort((a, b) => a - b)).toEqual(
      [FLAG.UH, FLAG.UF | FLAG.URX, FLAG.NC].sort((a, b) => a - b),
    );
  });

  test('weighted clusters', async () => {
    world.cluster('one', [world.upstream((peer) => peer.send('one')).port]);
    world.cluster('two', [world.upstream((peer) => peer.send('two')).port]);
    const port = world.serve(
      chainOf(
        world.tcpTo('', {
          weighted: {
            total: 100,
            entries: [
              { cluster: 'one', bound: 50 },
              { cluster: 'two', bound: 100 },
            ],
          },
        }),
      ),
    );
    const seen = new Set<string>();
    for (let i = 0; i < 30; i++) {
      const client = await world.client(port);
      client.send('?');
      await client.until(() => client.text.length === 3);
      seen.add(client.text);
      client.reset();
    }
    expect([...seen].sort()).toEqual(['one', 'two']);
  });

  test('the idle timeout closes both sides', async () => {
    const upstream = world.upstream(() => {});
    world.cluster('db', [upstream.port]);
    const client = await world.client(world.serve(chainOf(world.tcpTo('db', { idleTimeoutMs: 500 }))));
    client.send('x');
    await upstream.until(() => upstream.receivedBytes === 1);
    world.clock.advance(510);
    await client.untilClosed();
    client.end();
    await upstream.until(() => upstream.openCount === 0);
  });

  test('an upstream that does not read stops the client: bounded memory', async () => {
    const upstream = world.upstream((peer) => peer.socket.pause());
    world.cluster('db', [upstream.port]);
    const client = await world.client(world.serve(chainOf(world.tcpTo('db'))));
    client.send(new Uint8Array(32 * 1024 * 1024));
    while (world.stats.counts['connectionOpened'] === undefined) await turns();
    let last = -1;
    for (let quiet = 0; quiet < 20;) {
      await new Promise((done) => setTimeout(done, 2));
      quiet = upstream.receivedBytes === last ? quiet + 1 : 0;
      last = upstream.receivedBytes;
    }
    expect(upstream.receivedBytes).toBeLessThan(16 * 1024 * 1024);
  });

  test('a client that leaves while connecting cancels the attempt', async () => {
    const blackhole = await blackholePort();
    const cluster = world.cluster('hole', [blackhole]);
    const client = await world.client(world.serve(chainOf(world.tcpTo('hole'))));
    while (cluster.limits.connections.current === 0) await turns();
    client.reset();
    await world.lines.until(1);
    expect(cluster.limits.connections.current).toBe(0);
  });
});

describe('listeners', () => {
  test('no chain: closed with NR, and logged', async () => {
    const port = world.serve(() => null);
    const client = await world.client(port);
    await client.untilClosed();
    expect(world.refused).toEqual(['NR']);
    expect(world.unmatched).toEqual([port]);
  });

  test('a peeking filter decides the chain, and no octet is lost', async () => {
    world.cluster('a', [world.upstream(answering(reply('as http'))).port]);
    world.cluster('db', [world.upstream((peer, text) => peer.send(`tcp ${text}`)).port]);
    const inspector: ListenerFilterBinding = {
      name: 'inspect',
      maxPeekBytes: 4,
      needsBytes: true,
      create: () => ({
        onPeek(facts, bytes, isEnd) {
          if (bytes.length < 4 && !isEnd) return 'needMore';
          if (Buffer.from(bytes).toString() === 'GET ') facts.applicationProtocols = ['http/1.1'];
          return 'continue';
        },
      }),
    };
    const http = chainOf(testManager(() => testRoute(forwardTo('a'))));
    const port = world.serve(
      (facts) => (facts.applicationProtocols.length > 0 ? http : chainOf(world.tcpTo('db'))),
      {
        listenerFilters: [inspector],
      },
    );
    const asHttp = await world.client(port);
    asHttp.send('GE');
    await turns();
    asHttp.send('T / HTTP/1.1\r\nHost: a\r\n\r\n');
    expect((await asHttp.response()).body).toBe('as http');
    const asTcp = await world.client(port);
    asTcp.send('raw!');
    await asTcp.until(() => asTcp.text === 'tcp raw!');
  });

  test('a peeking filter is asked once per connection whether it applies, however the bytes come', async () => {
    world.cluster('db', [world.upstream((peer, text) => peer.send(text)).port]);
    const asked: string[] = [];
    const binding = (name: string, applies: boolean): ListenerFilterBinding => ({
      name,
      maxPeekBytes: 4,
      needsBytes: true,
      appliesTo: () => (asked.push(name), applies),
      create: () => ({
        onPeek: (_facts, bytes, isEnd) => {
          asked.push(`${name} peeks ${bytes.length}`);
          return bytes.length < 4 && !isEnd ? 'needMore' : 'continue';
        },
      }),
    });
    const client = await world.client(
      world.serve(chainOf(world.tcpTo('db')), {
        listenerFilters: [binding('off', false), binding('on', true)],
      }),
    );
    client.send('ab');
    while (!asked.includes('on peeks 2')) await turns();
    client.send('cd');
    await client.until(() => client.text === 'abcd');
    expect(asked).toEqual(['off', 'on', 'on peeks 2', 'on peeks 4']);
  });

  test('who says nothing is closed at the inspection timeout, or goes on', async () => {
    const inspector: ListenerFilterBinding = {
      name: 'inspect',
      maxPeekBytes: 4,
      needsBytes: true,
      create: () => ({ onPeek: () => 'needMore' }),
    };
    const silent = await world.client(world.serve(() => null, { listenerFilters: [inspector] }));
    const upstream = Bun.listen({
      hostname: '127.0.0.1',
      port: 0,
      socket: { open: (socket) => void socket.write('hi'), data() {} },
    });
    world.cluster('db', [upstream.port]);
    const patient = await world.client(
      world.serve(chainOf(world.tcpTo('db')), {
        listenerFilters: [inspector],
        continueOnListenerFiltersTimeout: true,
      }),
    );
    while (world.handles.some((handle) => handle.connectionCount === 0)) await turns();
    world.clock.advance(1010);
    await silent.untilClosed();
    await patient.until(() => patient.text === 'hi');
    expect(world.fallbacks).toHaveLength(1);
    expect(world.refused).toEqual(['listener_filters_timeout']);
    upstream.stop(true);
  });

  test('a hello that has begun is waited for, and so is a client that nobody would speak to first', async () => {
    world.cluster('db', [world.upstream((peer, text) => peer.send(`tcp ${text}`)).port]);
    world.cluster('tls', [world.upstream((peer, text) => peer.send(`tls ${text}`)).port]);
    const seen = new Set<string>();
    const inspector: ListenerFilterBinding = {
      name: 'inspect',
      maxPeekBytes: 4,
      needsBytes: true,
      create: () => ({
        onPeek(facts, bytes) {
          facts.serverName = Buffer.from(bytes).toString();
          seen.add(facts.serverName);
          return bytes.length < 4 ? 'needMore' : 'continue';
        },
        isUnderWay: (bytes) => bytes[0] === 0x68,
      }),
    };
    const options = { listenerFilters: [inspector], continueOnListenerFiltersTimeout: true };
    const http = chainOf(testManager(() => testRoute(forwardTo('a'))));
    const tcp = chainOf(world.tcpTo('db'));
    const tls = chainOf(world.tcpTo('tls'));
    const either = world.serve(({ serverName }) => (serverName === 'helo' ? tls : tcp), options);
    const begun = await world.client(either);
    const other = await world.client(either);
    const late = await world.client(
      world.serve(({ serverName }) => (serverName === 'late' ? tcp : http), options),
    );
    const strict = await world.client(
      world.serve(({ serverName }) => (serverName === 'tls!' ? tls : null), options),
    );
    begun.send('he');
    other.send('no');
    while (!seen.has('he') || !seen.has('no') || world.handles.some((one) => one.connectionCount === 0))
      await turns();
    world.clock.advance(1010);
    await other.until(() => other.text === 'tcp no');
    begun.send('lo');
    late.send('late');
    strict.send('tls!');
    await begun.until(() => begun.text === 'tls helo');
    await late.until(() => late.text === 'tcp late');
    await strict.until(() => strict.text === 'tls tls!');
    expect(world.fallbacks).toHaveLength(1);
    expect(world.refused).toEqual([]);
  });

  test('a client that must speak first and does not is not waited for without end', async () => {
    const inspector: ListenerFilterBinding = {
      name: 'inspect',
      maxPeekBytes: 4,
      needsBytes: true,
      create: () => ({ onPeek: () => 'needMore' }),
    };
    const silent = await world.client(
      world.serve(() => null, { listenerFilters: [inspector], continueOnListenerFiltersTimeout: true }),
    );
    while (world.handles.some((handle) => handle.connectionCount === 0)) await turns();
    world.clock.advance(1010);
    await turns();
    expect(world.refused).toEqual([]);
    world.clock.advance(15_010);
    await silent.untilClosed();
    expect(world.refused).toEqual(['NR']);
    expect(world.fallbacks).toEqual([]);
  });

  test('a network filter sees octets first and may close', async () => {
    world.cluster('db', [world.upstream((peer, text) => peer.send(text)).port]);
    const seen: string[] = [];
    const guard: NetworkFilterBinding = {
      name: 'guard',
      create: () => ({
        onConnection: (facts) => (seen.push(facts.remoteAddress), 'continue'),
        onData: (data) => (seen.push(Buffer.from(data).toString()), data[0] === 0x21 ? 'close' : 'continue'),
        onEnd: () => void seen.push('end'),
      }),
    };
    const client = await world.client(world.serve(chainOf(world.tcpTo('db'), [guard])));
    client.send('fine');
    await client.until(() => client.text === 'fine');
    client.send('!');
    await client.untilClosed();
    expect(seen).toEqual(['127.0.0.1', 'fine', '!', 'end']);
  });

  test('beyond the cap of a listener connections are refused, and counted', async () => {
    Object.assign(world.serving, { connectionLimits: limitsOf(100, 1) });
    const port = world.serve(() => chainOf(testManager(() => null)));
    const before = world.stats.counts['connectionOverflow'] ?? 0;
    const first = await world.client(port);
    first.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    expect((await first.response()).status).toBe(404);
    const second = await world.client(port);
    await second.untilClosed();
    expect(world.stats.counts['connectionOverflow']).toBe(before + 1);
    expect(world.overLimit).toEqual(['listener']);
    first.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    expect((await first.response()).status).toBe(404);
  });

  test('beyond the cap of the process, too, whatever the listener allows', async () => {
    Object.assign(world.serving, { connectionLimits: limitsOf(1, 5) });
    const port = world.serve(() => chainOf(testManager(() => null)));
    const first = await world.client(port);
    first.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    expect((await first.response()).status).toBe(404);
    await (await world.client(port)).untilClosed();
    expect(world.overLimit).toEqual(['process']);
  });

  test('retiring a chain closes idle connections and ends busy ones after their answer', async () => {
    let release: () => void = () => {};
    const upstream = world.upstream((peer, text) => {
      if (text.endsWith('\r\n\r\n')) release = () => peer.send(reply('done'));
    });
    world.cluster('a', [upstream.port]);
    const chain = chainOf(
      testManager((request) => (request.path === '/busy' ? testRoute(forwardTo('a')) : null)),
    );
    const port = world.serve(chain);
    const idle = await world.client(port);
    idle.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await idle.response();
    const busy = await world.client(port);
    busy.send('GET /busy HTTP/1.1\r\nHost: a\r\n\r\n');
    await upstream.until(() => upstream.texts.join('') !== '');
    world.server.retireChains([chain], 10_000);
    // What is on its way gets a moment; then the idle connection goes.
    world.clock.advance(500);
    world.wheel.advance();
    await idle.untilClosed();
    release();
    const response = await busy.response();
    expect(response.head).toContain('connection: close');
    await busy.untilClosed();
  });
});
