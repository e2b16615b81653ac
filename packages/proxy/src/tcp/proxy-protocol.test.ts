import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { turns } from '@sluice/testkit';
import { PP2, writeProxyV1, writeProxyV2 } from '@sluice/wire';
import { parseJsonMessage, ProxyProtocolTable } from '@sluice/xds';
import { newProblems } from '../config/problems.ts';
import { forwardTo, testManager, testRoute } from '../http/test-doubles.ts';
import { answering, reply } from '../http/test-world.ts';
import type { ListenerFilterBinding } from '../filter/filter.ts';
import type { ConnectionFacts } from '../listener/connection-facts.ts';
import { compileProxyProtocol } from '../listener/proxy-protocol.ts';
import { plainTransport } from '../tls/transport.ts';
import { tlsInspector } from '../listener/tls-inspector.ts';
import { chainOf, ServingWorld } from './test-serving.ts';

let world: ServingWorld;
beforeEach(() => {
  world = new ServingWorld();
  world.cluster('echo', [world.upstream((peer, text) => peer.send(`<${text}>`)).port]);
});
afterEach(() => {
  world.close();
  expect(world.errors).toEqual([]);
});

function filter(config: object = {}): ListenerFilterBinding {
  const scope = newProblems();
  const binding = compileProxyProtocol(parseJsonMessage(ProxyProtocolTable, config), scope);
  expect(scope.problems).toEqual([]);
  return binding;
}

const source = { address: '192.0.2.7', port: 51_000 };
const destination = { address: '198.51.100.1', port: 443 };

/** Facts that the chain was chosen by, and what the upstream was sent. */
async function connect(
  config: object,
  sent: readonly Uint8Array[],
  more: readonly ListenerFilterBinding[] = [],
): Promise<{ facts: ConnectionFacts | null; echoed: string }> {
  let facts: ConnectionFacts | null = null;
  const chain = chainOf(world.tcpTo('echo'));
  const port = world.serve(
    (seen) => {
      facts = seen;
      return chain;
    },
    { listenerFilters: [filter(config), ...more] },
  );
  const client = await world.client(port);
  for (const piece of sent) {
    client.send(piece);
    await turns();
  }
  await Promise.race([client.until(() => client.text.endsWith('>')), client.untilClosed()]).catch(() => {});
  return { facts, echoed: client.text };
}

describe('a listener that takes PROXY headers', () => {
  for (const [version, header] of [
    ['1', writeProxyV1(source, destination)],
    ['2', writeProxyV2(source, destination, { withChecksum: true })],
  ] as const) {
    test(`believes version ${version}, and passes on what follows only`, async () => {
      const { facts, echoed } = await connect({}, [Buffer.concat([header, Buffer.from('hello')])]);
      expect(echoed).toBe('<hello>');
      expect(facts).toMatchObject({
        remoteAddress: '192.0.2.7',
        remotePort: 51_000,
        destinationAddress: '198.51.100.1',
        destinationPort: 443,
        isDestinationRestored: true,
        proxied: { directRemoteAddress: '127.0.0.1' },
      });
      expect(world.stats.counts['proxyHeader']).toBe(1);
    });
  }

  test('header and payload may come in any pieces, other inspectors seeing the payload alone', async () => {
    const whole = Buffer.concat([writeProxyV2(source, destination), Buffer.from('payload')]);
    const pieces = Array.from({ length: Math.ceil(whole.length / 5) }, (_, i) =>
      whole.subarray(5 * i, 5 * i + 5),
    );
    const { facts, echoed } = await connect({}, pieces, [tlsInspector]);
    expect(echoed.replaceAll(/<|>.*/g, '')).toStartWith('pa');
    expect(facts!.transportProtocol).toBe('raw_buffer');
  });

  test('LOCAL and UNKNOWN leave the addresses alone', async () => {
    for (const header of [writeProxyV2(null, null), writeProxyV1(null, null)]) {
      const { facts, echoed } = await connect({}, [Buffer.concat([header, Buffer.from('x')])]);
      expect(echoed).toBe('<x>');
      expect(facts).toMatchObject({ remoteAddress: '127.0.0.1', isDestinationRestored: false });
    }
  });

  test('rules make metadata of values, and only chosen values are kept to be passed on', async () => {
    const tlvs = [
      { type: PP2.authority, value: Buffer.from('www.example.com') },
      { type: 0xea, value: Buffer.from('vpce-1') },
    ];
    const { facts } = await connect(
      {
        rules: [
          { tlv_type: 0xea, on_tlv_present: { key: 'endpoint' } },
          { tlv_type: 0x02, on_tlv_present: { metadata_namespace: 'n', key: 'host' } },
        ],
        pass_through_tlvs: { match_type: 'INCLUDE', tlv_type: [0xea] },
      },
      [Buffer.concat([writeProxyV2(source, destination, { tlvs }), Buffer.from('x')])],
    );
    const { proxied } = facts!;
    expect(proxied!.metadata.get('envoy.filters.listener.proxy_protocol')?.get('endpoint')).toBe('vpce-1');
    expect(proxied!.metadata.get('n')?.get('host')).toBe('www.example.com');
    expect(proxied!.tlvs.map(({ type }) => type)).toEqual([0xea]);
  });

  test('no header: closed, or let in where that is allowed', async () => {
    expect((await connect({}, [Buffer.from('hello')])).facts).toBeNull();
    expect(world.refused).toEqual(['closed_by_listener_filter{envoy.filters.listener.proxy_protocol}']);
    const allowed = await connect({ allow_requests_without_proxy_protocol: true }, [Buffer.from('hello')]);
    expect(allowed.echoed).toBe('<hello>');
  });

  test('a malformed header closes, even where headers may be absent', async () => {
    const bad = Buffer.from('PROXY TCP4 1.2.3.4 5.6.7.8 99999 1\r\nhello');
    expect((await connect({ allow_requests_without_proxy_protocol: true }, [bad])).facts).toBeNull();
  });

  test('a version that is not taken closes, or is data where headers may be absent', async () => {
    const line = Buffer.concat([writeProxyV1(source, destination), Buffer.from('x')]);
    expect((await connect({ disallowed_versions: ['V1'] }, [line])).facts).toBeNull();
    const passed = await connect(
      { disallowed_versions: ['V1'], allow_requests_without_proxy_protocol: true },
      [line],
    );
    expect(passed.echoed).toBe(`<${line.toString()}>`);
    expect(passed.facts!.remoteAddress).toBe('127.0.0.1');
  });
});

test('X-Forwarded-For names the client of the header, behind the hops that are trusted', async () => {
  const upstream = world.upstream(answering(reply('ok')));
  world.cluster('a', [upstream.port]);
  const chain = chainOf(
    testManager(() => testRoute(forwardTo('a')), {
      useRemoteAddress: true,
      trustedHops: 1,
      accessLoggers: [world.log],
    }),
  );
  const client = await world.client(world.serve(chain, { listenerFilters: [filter()] }));
  client.send(Buffer.from(writeProxyV1(source, destination)));
  client.send('GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n');
  expect((await client.response()).status).toBe(200);
  expect(upstream.texts[0]).toContain('203.0.113.9,192.0.2.7');
});

describe('an HTTP upstream that asks for PROXY headers', () => {
  const proxyHeader = {
    key: 'p',
    bytes: (facts: { remoteAddress: string; remotePort: number } | null) =>
      Buffer.from(`PROXY ${facts?.remoteAddress}:${facts?.remotePort}\r\n`),
  };
  const transportFor = () => ({ ...plainTransport, proxyHeader });

  test('is told the client of each request on connections of that client alone', async () => {
    const upstream = world.upstream((peer, text) => {
      if (text.endsWith('\r\n\r\n')) peer.send(reply('ok'));
    });
    world.cluster('a', [upstream.port], { transportFor });
    const chain = chainOf(testManager(() => testRoute(forwardTo('a'))));
    const port = world.serve(chain, { listenerFilters: [filter()] });
    for (const [address, rounds] of [
      ['192.0.2.7', 2],
      ['192.0.2.8', 1],
    ] as const) {
      const client = await world.client(port);
      client.send(Buffer.from(writeProxyV1({ address, port: 7 }, destination)));
      for (let round = 0; round < rounds; round++) {
        client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
        expect((await client.response()).status).toBe(200);
      }
    }
    expect(upstream.texts.map((text) => text.slice(0, text.indexOf('\r\n')))).toEqual([
      'PROXY 192.0.2.7:7',
      'PROXY 192.0.2.8:7',
    ]);
  });

  test('is told at the beginning of a CONNECT tunnel', async () => {
    const upstream = world.upstream(() => {});
    world.cluster('a', [upstream.port], { transportFor });
    const chain = chainOf(
      testManager(() => testRoute(forwardTo('a')), {
        isForwardProxy: true,
        upgrades: new Map([['connect', true]]),
      }),
    );
    const client = await world.client(world.serve(chain));
    client.send('CONNECT db:5432 HTTP/1.1\r\nHost: db:5432\r\n\r\n');
    await client.until(() => client.text.startsWith('HTTP/1.1 200'));
    client.send('query');
    await upstream.until(() => upstream.texts[0]?.endsWith('query') === true);
    expect(upstream.texts[0]).toMatch(/^PROXY 127\.0\.0\.1:\d+\r\nquery$/);
  });
});
