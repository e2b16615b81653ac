import { describe, expect, test } from 'bun:test';
import { createMessage, ForwardProxyFilterTable } from '@sluice/xds';
import { forwardTo, routerBinding, testEndpoint, testRoute } from '../../http/test-doubles.ts';
import { freshWorlds } from '../../http/test-fresh-world.ts';
import { answering, reply, World } from '../../http/test-world.ts';
import type { ConfigProblem, HttpFilterBinding } from '../filter.ts';
import { forwardProxyFactory, type ResolveName } from './forward-proxy.ts';
import { compileRefused } from './refused-addresses.ts';

let world: World;
freshWorlds(() => (world = new World()));

function binding(resolve: ResolveName, refusedAddresses: string[] = []): HttpFilterBinding {
  const factory = forwardProxyFactory(resolve, () => 0);
  const problems: ConfigProblem[] = [];
  const config = factory.compile(createMessage(ForwardProxyFilterTable, { refusedAddresses }), problems);
  expect(problems).toEqual([]);
  return { name: factory.name, factory, config, isDisabledByDefault: false };
}

/** A forward proxy whose unknown hosts go to where they say. */
function proxyWith(resolve: ResolveName, refused: string[] = []): number {
  world.cluster('PassthroughCluster', [], {
    type: 'ORIGINAL_DST',
    pick: (context) => testEndpoint(context.originalPort),
  });
  return world.listen(() => testRoute(forwardTo('PassthroughCluster')), {
    filters: [binding(resolve, refused), routerBinding],
  });
}

async function ask(port: number, authority: string): Promise<{ status: number; text: string }> {
  const client = await world.client(port);
  client.send(`GET http://${authority}/ HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
  const response = await client.response();
  return { status: response.status, text: JSON.stringify(response) };
}

const nobody: ResolveName = () => Promise.reject(new Error('no such name'));

describe('forward proxy', () => {
  test('a host by address is dialled where the request says', async () => {
    const upstream = world.upstream(answering(reply('outside')));
    const port = proxyWith(nobody);
    const answer = await ask(port, `127.0.0.1:${upstream.port}`);
    expect(answer.status).toBe(200);
  });

  test('a host by name is resolved once and dialled', async () => {
    const upstream = world.upstream(answering(reply('outside')));
    const asked: string[] = [];
    const port = proxyWith((name) => {
      asked.push(name);
      return Promise.resolve(['127.0.0.1']);
    });
    expect((await ask(port, `Example.test:${upstream.port}`)).status).toBe(200);
    expect((await ask(port, `example.test:${upstream.port}`)).status).toBe(200);
    expect(asked).toEqual(['example.test']);
  });

  test('a name without an address is answered with 502 and its reason', async () => {
    const answer = await ask(proxyWith(nobody), 'nowhere.test');
    expect(answer.status).toBe(502);
    expect(answer.text).toContain('destination-unknown');
  });

  test('a name that points at a link-local address is refused: the dialled address is judged', async () => {
    const answer = await ask(
      proxyWith(() => Promise.resolve(['169.254.169.254'])),
      'metadata.test',
    );
    expect(answer.status).toBe(403);
    expect(answer.text).toContain('destination-refused');
  });

  test('the listener itself and what the configuration names are refused', async () => {
    const port = proxyWith(nobody, ['127.0.0.1:15000']);
    expect((await ask(port, `127.0.0.1:${port}`)).status).toBe(403);
    expect((await ask(port, `127.0.0.2:${port}`)).status).toBe(403);
    expect((await ask(port, '127.0.0.1:15000')).status).toBe(403);
  });
});

describe('refused addresses', () => {
  const none = (): never => {
    throw new Error('unexpected problem');
  };

  test('whatever the spelling, link-local and mapped addresses are refused', () => {
    const refused = compileRefused([], none);
    for (const address of [
      '169.254.1.1',
      '::ffff:169.254.1.1',
      '::ffff:a9fe:a9fe',
      'fe80::1',
      '0.0.0.0',
      '::',
      '224.0.0.1',
      'x',
    ]) {
      expect([address, refused.isRefused(address, 80)]).toEqual([address, true]);
    }
    for (const address of ['127.0.0.1', '10.0.0.1', '2001:db8::1']) {
      expect([address, refused.isRefused(address, 80)]).toEqual([address, false]);
    }
  });

  test('entries are an address, an address with port, or a range; anything else is reported', () => {
    const bad: number[] = [];
    const refused = compileRefused(
      ['10.1.0.0/16', '127.0.0.1:15000', '[::1]:15000', 'host', '1.2.3.4/40'],
      (index) => bad.push(index),
    );
    expect(bad).toEqual([3, 4]);
    expect(refused.isRefused('10.1.2.3', 1)).toBe(true);
    expect(refused.isRefused('10.2.2.3', 1)).toBe(false);
    expect(refused.isRefused('127.0.0.1', 15000)).toBe(true);
    expect(refused.isRefused('127.0.0.1', 15001)).toBe(false);
    expect(refused.isRefused('::1', 15000)).toBe(true);
  });
});
