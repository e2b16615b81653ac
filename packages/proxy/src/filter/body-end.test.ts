/** The end of a body: last data, trailers, what filters append there, and bodies collected with a cut. */
import { expect, test } from 'bun:test';
import { forwardTo, routerBinding, testRoute } from '../http/test-doubles.ts';
import { freshWorlds } from '../http/test-fresh-world.ts';
import { World, type UpstreamScript } from '../http/test-world.ts';
import type { HttpFilter, HttpFilterBinding, HttpFilterContext } from './filter.ts';

let world: World;
freshWorlds(() => (world = new World()));

function bind(name: string, filter: HttpFilter): HttpFilterBinding {
  const factory = {
    name,
    configTypes: [],
    isTerminal: false,
    compile: () => null,
    compileRoute: () => null,
    create: () => filter,
  };
  return { name, factory, config: null, isDisabledByDefault: false };
}

const withTrailers: UpstreamScript = (peer, text) => {
  if (!text.includes('\r\n\r\n')) return;
  peer.clear();
  peer.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nx-sum: 1\r\n\r\n');
};

/** The response of a request through `filters`, up to the end of its chunked body. */
async function responseThrough(filters: HttpFilterBinding[], script = withTrailers): Promise<string> {
  const upstream = world.upstream(script);
  world.cluster('a', [upstream.port]);
  const port = world.listen(() => testRoute(forwardTo('a')), { filters: [...filters, routerBinding] });
  const client = await world.client(port);
  client.send('GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n');
  await client.until(
    () => /\r\n0\r\n(.+\r\n)*\r\n$/.test(client.text) || /content-length: 0/.test(client.text),
  );
  return client.text.slice(client.text.indexOf('\r\n\r\n') + 4);
}

const latin1 = (data: Uint8Array): string => Buffer.from(data).toString('latin1');

test('each filter sees its last data and the trailers before the next does', async () => {
  const seen: string[] = [];
  const watching = (name: string): HttpFilterBinding =>
    bind(name, {
      onResponseData: (_x, chunk, isEnd) => (
        seen.push(`${name} ${latin1(chunk.data.subarray(chunk.start, chunk.end))}${isEnd ? '.' : ''}`),
        'continue'
      ),
      onResponseTrailers: (_x, trailers) => (
        seen.push(`${name} x-sum ${trailers.getByName('x-sum')}`),
        'continue'
      ),
    });
  await responseThrough([watching('outer'), watching('inner')]);
  expect(seen).toEqual(['inner body', 'outer body', 'inner .', 'inner x-sum 1', 'outer .', 'outer x-sum 1']);
});

test('a filter that paused on its last data, and those before it, still see the trailers', async () => {
  const seen: string[] = [];
  let paused: HttpFilterContext | null = null;
  const pausing = bind('pausing', {
    onResponseData(x, _chunk, isEnd) {
      if (!isEnd) return 'continue';
      paused = x;
      queueMicrotask(() => paused!.resume());
      return 'pause';
    },
    onResponseTrailers: () => (seen.push('pausing'), 'continue'),
  });
  const watching = (name: string): HttpFilterBinding =>
    bind(name, { onResponseTrailers: () => (seen.push(name), 'continue') });
  await responseThrough([watching('outer'), pausing, watching('inner')]);
  expect(seen).toEqual(['inner', 'pausing', 'outer']);
});

test('what a filter appends at the trailers passes the filters after it, before the trailers', async () => {
  const appending = bind('appending', {
    onResponseTrailers(x, trailers) {
      x.appendBody(Buffer.from(`+${trailers.getByName('x-sum')}`));
      x.appendBody(Buffer.from('!'));
      return 'continue';
    },
  });
  const seen: string[] = [];
  const watching = bind('watching', {
    onResponseData: (_x, chunk) => (
      seen.push(latin1(chunk.data.subarray(chunk.start, chunk.end))),
      'continue'
    ),
  });
  const body = await responseThrough([watching, appending]);
  expect(seen).toEqual(['body', '+1!']);
  expect(body).toContain('4\r\nbody\r\n');
  expect(body).toContain('3\r\n+1!\r\n0\r\nx-sum: 1\r\n\r\n');
});

test('trailers that a filter took all of are not sent', async () => {
  const taking = bind('taking', {
    onResponseTrailers: (_x, trailers) => (trailers.reset(), 'continue'),
  });
  expect(await responseThrough([taking])).toEndWith('0\r\n\r\n');
});

test('a collected body is cut at its limit, and the rest of it passes unseen', async () => {
  const long: UpstreamScript = (peer, text) => {
    if (!text.includes('\r\n\r\n')) return;
    peer.clear();
    peer.send(`HTTP/1.1 500 No\r\nContent-Length: 300000\r\n\r\nwhy${'.'.repeat(299_997)}`);
  };
  let collected = '';
  const collecting = bind('collecting', {
    onResponseHead: (x) => (x.bufferBody('response', 10, 'cut'), 'pause'),
    onResponseData(_x, chunk) {
      collected = latin1(chunk.data.subarray(chunk.start, chunk.end));
      chunk.replace(new Uint8Array(0));
      return 'continue';
    },
  });
  await responseThrough([collecting], long);
  expect(collected).toBe('why.......');
});

test('a filter that has left sees nothing more of the exchange, others do, and the next one has it again', async () => {
  const seen: string[] = [];
  let turn = 0;
  const watching = (name: string, leavesFirst: boolean): HttpFilterBinding =>
    bind(name, {
      onRequestHead(x) {
        seen.push(`${name} > head`);
        if (leavesFirst && turn++ === 0) x.leave();
        return 'continue';
      },
      onResponseHead: () => (seen.push(`${name} < head`), 'continue'),
      onResponseData: (_x, _chunk, isEnd) => (isEnd && seen.push(`${name} < data`), 'continue'),
      onResponseTrailers: () => (seen.push(`${name} < trailers`), 'continue'),
      onEnd: () => void seen.push(`${name} end`),
    });
  const upstream = world.upstream(withTrailers);
  world.cluster('a', [upstream.port]);
  const filters = [watching('one', true), watching('two', false), routerBinding];
  const client = await world.client(world.listen(() => testRoute(forwardTo('a')), { filters }));
  const exchange = async (count: number): Promise<string[]> => {
    seen.length = 0;
    client.send('GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n');
    await world.log.until(count);
    return [...seen];
  };
  const ofTwo = ['two < head', 'two < data', 'two < trailers', 'two end'];
  expect(await exchange(1)).toEqual(['one > head', 'two > head', ...ofTwo]);
  expect(await exchange(2)).toContain('one < trailers');
  expect(seen.at(-2)).toBe('one end');
});
