/** What a push does to connections that are open: nothing, unless it changes their own filter chain. */
import { afterEach, expect, test } from 'bun:test';
import {
  cleanUp,
  connectPeer,
  serveText,
  startEchoOrigin,
  waitFor,
  type PeerConnection,
} from '@sluice/testkit';
import { ListenerTable, xdsTypes } from '@sluice/xds';
import {
  adsBootstrap,
  encoded,
  encodedCluster,
  encodedRoutes,
  routesFrom,
  startAdsPeer,
  xdsCluster,
} from './ads-bootstrap.test-double.ts';
import { httpManager, startProxy } from './proxy-process.test-double.ts';

afterEach(cleanUp);

const types = 'type.googleapis.com/envoy.extensions.filters';

function tcp(statPrefix: string): object {
  const config = {
    '@type': `${types}.network.tcp_proxy.v3.TcpProxy`,
    stat_prefix: statPrefix,
    cluster: 'echo',
  };
  return { filters: [{ name: 'tcp', typed_config: config }] };
}

function http(round: number): object {
  const manager = {
    ...httpManager(routesFrom('table')),
    via: `round-${round}`,
  };
  return {
    filter_chain_match: { application_protocols: ['http/1.1'] },
    filters: [{ name: 'http', typed_config: manager }],
  };
}

function listener(name: string, chains: readonly object[], more: object = {}): Uint8Array {
  const address = { socket_address: { address: '127.0.0.1', port_value: 0 } };
  return encoded(ListenerTable, { name, address, filter_chains: chains, ...more });
}

const inspected = (round: number): Uint8Array =>
  listener('split', [http(round)], {
    default_filter_chain: tcp('split'),
    listener_filters: [
      {
        name: 'http',
        typed_config: { '@type': `${types}.listener.http_inspector.v3.HttpInspector` },
      },
    ],
  });

async function exchange(peer: PeerConnection, text: string): Promise<string> {
  await peer.write(text);
  return Buffer.from((await peer.readExactly(text.length)) ?? new Uint8Array(0)).toString();
}

test('connections are held over 20 pushes that change other things, or nothing', async () => {
  const web = serveText('web');
  const echo = startEchoOrigin();
  const peer = await startAdsPeer();
  const clusters = (round: number): Record<string, Uint8Array> => ({
    echo: encodedCluster('echo', echo.port),
    web: encodedCluster('web', web, { connect_timeout: `${1 + round}s` }),
  });
  const push = (round: number): void => {
    const changing = round % 2;
    peer.put(xdsTypes.cluster, clusters(changing));
    peer.put(xdsTypes.route, { table: encodedRoutes('web', 'table') });
    peer.put(xdsTypes.listener, {
      held: listener('held', [tcp('held')]),
      other: listener('other', [tcp(`other-${changing}`)]),
      split: inspected(changing),
    });
  };
  push(0);
  const proxy = startProxy(adsBootstrap(xdsCluster(peer.port)));
  await proxy.ready();
  const portOf = async (name: string): Promise<number> =>
    Number((await proxy.address(name)).split(':').at(-1));
  const held = await connectPeer(await portOf('held'));
  const raw = await connectPeer(await portOf('split'));
  expect(await exchange(held, 'first')).toBe('first');
  expect(await exchange(raw, '\0\0 not http\n')).toBe('\0\0 not http\n');
  for (let round = 1; round <= 20; round++) {
    const client = await connectPeer(await portOf('split'));
    await client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    expect(await client.readHead()).toContain(`via: round-${(round - 1) % 2}`);
    push(round);
    // The push has arrived where it is seen: the HTTP chain is another one, and ends the connection of the old.
    await waitFor(async () => {
      const probe = await connectPeer(await portOf('split'));
      await probe.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
      const head = await probe.readHead();
      probe.reset();
      return head?.includes(`via: round-${round % 2}`) === true;
    });
    await client.readToEnd();
    client.reset();
    expect(await exchange(held, `round ${round}`)).toBe(`round ${round}`);
    expect(await exchange(raw, `round ${round}`)).toBe(`round ${round}`);
  }
  expect(peer.nacks).toEqual([]);
  expect(held.isOpen && raw.isOpen).toBe(true);
  expect(proxy.log().match(/listening\tlistener=/g)).toHaveLength(3);
}, 60_000);

test('a push equal in content ends no connection, not even an idle one of HTTP', async () => {
  const web = serveText('web');
  const peer = await startAdsPeer();
  // The last of each push, and the only thing of it that differs: shows that the push has arrived.
  const push = (round: number): void => {
    peer.put(xdsTypes.listener, { main: listener('main', [{ ...http(0), filter_chain_match: {} }]) });
    peer.put(xdsTypes.route, { table: encodedRoutes('web', 'table') });
    peer.put(xdsTypes.cluster, {
      web: encodedCluster('web', web),
      [`round-${round}`]: encodedCluster(`round-${round}`, web),
    });
  };
  push(0);
  const proxy = startProxy(adsBootstrap(xdsCluster(peer.port)));
  await proxy.ready();
  const port = Number((await proxy.address('main')).split(':').at(-1));
  const client = await connectPeer(port);
  const ask = async (): Promise<string> => {
    await client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    const head = (await client.readHead()) ?? 'closed';
    await client.readExactly(3);
    return head;
  };
  expect(await ask()).toStartWith('HTTP/1.1 200');
  for (let round = 1; round <= 20; round++) {
    push(round);
    await waitFor(async () => (await (await proxy.admin('/clusters')).text()).includes(`round-${round}::`));
    const head = await ask();
    expect(head).toStartWith('HTTP/1.1 200');
    expect(head.toLowerCase()).not.toContain('connection: close');
  }
  expect(await (await proxy.admin('/stats?filter=drain_close')).text()).not.toMatch(/drain_close: [1-9]/);
}, 60_000);
