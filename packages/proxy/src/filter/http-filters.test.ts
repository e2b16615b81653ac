import { describe, expect, test } from 'bun:test';
import { turns } from '@sluice/testkit';
import { forwardTo, routerBinding, testRoute } from '../http/test-doubles.ts';
import { freshWorlds } from '../http/test-fresh-world.ts';
import { answering, reply, World } from '../http/test-world.ts';
import { DISABLED } from '../route/route.ts';
import type {
  HttpFilter,
  HttpFilterBinding,
  HttpFilterContext,
  LocalReply,
  SideReply,
  UpstreamHttpFilter,
} from './filter.ts';

let world: World;
freshWorlds(() => (world = new World()));

const get = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

function bind(name: string, create: () => HttpFilter, isDisabledByDefault = false): HttpFilterBinding {
  const factory = {
    name,
    configTypes: [],
    isTerminal: false,
    compile: () => null,
    compileRoute: () => null,
    create,
  };
  return { name, factory, config: null, isDisabledByDefault };
}

function proxyWith(
  filters: HttpFilterBinding[],
  script = answering(reply('hello')),
  upstreamFilters: UpstreamHttpFilter[] = [],
) {
  const upstream = world.upstream(script);
  world.cluster('a', [upstream.port]);
  const port = world.listen(
    () => testRoute(forwardTo('a')),
    { filters: [...filters, routerBinding] },
    upstreamFilters,
  );
  return { upstream, port };
}

async function ask(port: number, request = get) {
  const client = await world.client(port);
  client.send(request);
  return client.response();
}

const refusal: LocalReply = {
  status: 403,
  code: 'upgrade-refused',
  flag: '',
  detail: 'no',
  responseCodeDetails: 'test',
};

/** Sends back what it was sent, once a whole request with a length has come. */
const echo: Parameters<World['upstream']>[0] = (peer, text) => {
  const [head, body] = text.split('\r\n\r\n') as [string, string | undefined];
  const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
  const isChunked = /transfer-encoding: chunked/i.test(head);
  if (body === undefined || (isChunked ? !text.endsWith('0\r\n\r\n') : body.length < length)) return;
  peer.clear();
  const content = isChunked
    ? [...text.slice(head.length + 4).matchAll(/[0-9a-f]+\r\n([^\r]*)\r\n/g)]
        .map((match) => match[1])
        .join('')
    : body;
  peer.send(reply(content));
};

describe('order', () => {
  test('request filters in the order of the listener, response filters in the reverse, repeats included', async () => {
    const seen: string[] = [];
    const named = (name: string): HttpFilterBinding =>
      bind(name, () => ({
        onRequestHead(x) {
          seen.push(`> ${name}`);
          x.requestHeaders.append('x-seen', name);
          return 'continue';
        },
        onResponseHead(x) {
          seen.push(`< ${name} ${x.response?.status}`);
          return 'continue';
        },
        onEnd: () => void seen.push(`end ${name}`),
      }));
    const { port, upstream } = proxyWith([named('one'), named('two'), named('one')]);
    await ask(port);
    await world.log.until(1);
    expect(seen).toEqual([
      '> one',
      '> two',
      '> one',
      '< one 200',
      '< two 200',
      '< one 200',
      'end one',
      'end two',
      'end one',
    ]);
    expect(upstream.texts[0]).toContain('x-seen: one\r\nx-seen: two\r\nx-seen: one\r\n');
  });

  test('a filter is off by default, by route, and on by route configuration', async () => {
    const configs: unknown[] = [];
    const filter = (name: string, isDisabled: boolean): HttpFilterBinding =>
      bind(
        name,
        () => ({ onRequestHead: (x) => (configs.push([name, x.routeConfig()]), 'continue') }),
        isDisabled,
      );
    world.cluster('a', [world.upstream(answering(reply('x'))).port]);
    const perFilterConfig = new Map<string, unknown>([
      ['switched-off', DISABLED],
      ['switched-on', { limit: 3 }],
    ]);
    const port = world.listen(() => testRoute(forwardTo('a'), { perFilterConfig }), {
      filters: [
        filter('plain', false),
        filter('switched-off', false),
        filter('off', true),
        filter('switched-on', true),
        routerBinding,
      ],
    });
    await ask(port);
    expect(configs).toEqual([
      ['plain', null],
      ['switched-on', { limit: 3 }],
    ]);
  });
});

describe('answering', () => {
  for (const returns of ['answered', 'continue'] as const) {
    test(`an answer passes the response filters before it only (verdict ${returns})`, async () => {
      const seen: string[] = [];
      const watch = (name: string): HttpFilterBinding =>
        bind(name, () => ({
          onResponseHead: (x) => (
            seen.push(`${name} ${x.response?.status}`),
            x.response!.headers.set('x-watched', name),
            'continue'
          ),
        }));
      const deny = bind('deny', () => ({ onRequestHead: (x) => (x.answer(refusal), returns) }));
      const { port, upstream } = proxyWith([watch('outer'), deny, watch('inner')]);
      const response = await ask(port);
      expect(response.status).toBe(403);
      expect(response.head).toContain('x-watched: outer');
      expect(seen).toEqual(['outer 403']);
      expect(upstream.connectionCount).toBe(0);
    });
  }

  test('a response filter may answer in the place of the upstream', async () => {
    const swap = bind('swap', () => ({
      onResponseHead: (x) =>
        x.response?.status === 200 ? (x.answer({ ...refusal, status: 451 }), 'answered') : 'continue',
    }));
    const { port } = proxyWith([swap]);
    expect((await ask(port)).status).toBe(451);
    expect((await ask(port)).status).toBe(451);
  });

  test('a filter that pauses may answer later, and a late resume does nothing', async () => {
    let context: HttpFilterContext | null = null;
    const waiting = bind('wait', () => ({ onRequestHead: (x) => ((context = x), 'pause') }));
    const { port, upstream } = proxyWith([waiting]);
    const client = await world.client(port);
    client.send(get);
    while (context === null) await turns();
    (context as HttpFilterContext).answer(refusal);
    expect((await client.response()).status).toBe(403);
    const late = context as HttpFilterContext;
    context = null;
    client.send(get);
    while (context === null) await turns();
    expect(context).not.toBe(late);
    late.resume();
    late.answer(refusal);
    await turns();
    expect(client.text).toBe('');
    (context as HttpFilterContext).resume();
    expect((await client.response()).status).toBe(200);
    expect(upstream.connectionCount).toBe(1);
  });
});

describe('bodies', () => {
  const upper = (chunk: {
    data: Uint8Array;
    start: number;
    end: number;
    replace(data: Uint8Array): void;
  }): void => {
    if (chunk.end > chunk.start)
      chunk.replace(
        Buffer.from(Buffer.from(chunk.data).subarray(chunk.start, chunk.end).toString().toUpperCase() + '!'),
      );
  };

  test('a paused request holds its body and goes on with it', async () => {
    let context: HttpFilterContext | null = null;
    const { port, upstream } = proxyWith(
      [bind('wait', () => ({ onRequestHead: (x) => ((context = x), 'pause') }))],
      echo,
    );
    const client = await world.client(port);
    client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello');
    while (context === null) await turns();
    client.send('world');
    while (world.accepted[0]!.bytesRead < 55) await turns();
    expect(upstream.connectionCount).toBe(0);
    (context as HttpFilterContext).resume();
    expect((await client.response()).body).toBe('helloworld');
  });

  test('streamed bodies are rewritten both ways, and framed anew', async () => {
    const rewriting = bind('upper', () => ({
      rewritesRequestBody: true,
      rewritesResponseBody: true,
      onRequestData: (_x, chunk) => (upper(chunk), 'continue'),
      onResponseData: (_x, chunk) => (upper(chunk), 'continue'),
    }));
    const { port, upstream } = proxyWith([rewriting], echo);
    const client = await world.client(port);
    client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello');
    await client.until(() => client.text.endsWith('0\r\n\r\n'));
    expect(client.text).toContain('\r\n7\r\nHELLO!!\r\n');
    expect(upstream.texts[0]).toContain('transfer-encoding: chunked');
    expect(upstream.texts[0]).not.toMatch(/content-length/i);
  });

  test('a collected body is seen whole and may change its length', async () => {
    const sizes: number[] = [];
    const collecting = bind('collect', () => ({
      onRequestHead: (x) => (x.bufferBody('request', 1000), 'pause'),
      onRequestData: (_x, chunk, isEnd) => (
        sizes.push(chunk.end - chunk.start),
        expect(isEnd).toBe(true),
        upper(chunk),
        'continue'
      ),
      onResponseHead: (x) => (x.bufferBody('response', 1000), 'pause'),
      onResponseData: (_x, chunk) => (upper(chunk), 'continue'),
    }));
    const { port, upstream } = proxyWith([collecting], echo);
    const client = await world.client(port);
    client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello');
    while (world.accepted.length === 0 || world.accepted[0]!.bytesRead < 50) await turns();
    expect(upstream.connectionCount).toBe(0);
    client.send('world');
    expect((await client.response()).body).toBe('HELLOWORLD!!');
    expect(sizes).toEqual([10]);
    expect(upstream.texts[0]).toMatch(/content-length: 11/i);
    client.send(get);
    expect((await client.response()).status).toBe(200);
  });

  test('beyond the limit: 413 for a request, 500 for a response', async () => {
    const request = bind('collect', () => ({ onRequestHead: (x) => (x.bufferBody('request', 4), 'pause') }));
    expect(
      (await ask(proxyWith([request]).port, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello'))
        .status,
    ).toBe(413);
    const response = bind('collect', () => ({
      onResponseHead: (x) => (x.bufferBody('response', 4), 'pause'),
    }));
    expect((await ask(proxyWith([response]).port)).status).toBe(500);
  });

  test('trailers are seen and changed in both directions', async () => {
    const trailing = bind('trailers', () => ({
      onRequestTrailers: (_x, trailers) => (trailers.set('x-up', 'changed'), 'continue'),
      onResponseTrailers: (_x, trailers) => (trailers.append('x-more', '1'), 'continue'),
    }));
    const { port, upstream } = proxyWith([trailing], (peer, text) => {
      if (text.includes('x-up'))
        peer.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx-down: 1\r\n\r\n');
    });
    const client = await world.client(port);
    client.send(
      'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nb\r\n0\r\nx-up: 1\r\n\r\n',
    );
    await client.until(() => client.text.endsWith('x-down: 1\r\nx-more: 1\r\n\r\n'));
    expect(upstream.texts[0]).toEndWith('0\r\nx-up: changed\r\n\r\n');
  });
});

describe('what a filter can reach', () => {
  test('it changes what routes look at, and has the route chosen again', async () => {
    world.cluster('blue', [world.upstream(answering(reply('blue'))).port]);
    world.cluster('green', [world.upstream(answering(reply('green'))).port]);
    const port = world.listen(
      (request) => testRoute(forwardTo(request.headers.getByName('x-colour') ?? 'blue')),
      {
        filters: [
          bind('paint', () => ({
            onRequestHead: (x) => (
              x.requestHeaders.set('x-colour', 'green'),
              x.clearRouteCache(),
              'continue'
            ),
          })),
          routerBinding,
        ],
      },
    );
    expect((await ask(port)).body).toBe('green');
  });

  test('connection facts, dynamic metadata and the record', async () => {
    let seen: unknown[] = [];
    const first = bind('first', () => ({
      onRequestHead: (x) => (x.setMetadata('first', 'who', x.connection.remoteAddress), 'continue'),
    }));
    const second = bind('second', () => ({
      onRequestHead: (x) => (
        (seen = [
          x.getMetadata('first', 'who'),
          x.getMetadata('first', 'none'),
          x.record.method,
          x.request.path,
        ]),
        'continue'
      ),
    }));
    await ask(proxyWith([first, second]).port);
    expect(seen).toEqual(['127.0.0.1', undefined, 'GET', '/']);
  });

  test('a call through a cluster, then on; cancelled when the client leaves', async () => {
    const authorizer = world.upstream((peer, text) => {
      if (!text.includes('/check')) return;
      if (text.includes('x-slow')) return;
      peer.clear();
      peer.send(reply('yes', 'HTTP/1.1 200 OK\r\nx-user: ada'));
    });
    world.cluster('authz', [authorizer.port]);
    const replies: SideReply[] = [];
    const check = bind('check', () => ({
      onRequestHead(x) {
        const headers = x.request.path === '/slow' ? [['x-slow', '1'] as const] : [];
        x.call(
          'authz',
          {
            method: 'GET',
            authority: 'authz',
            path: '/check',
            headers,
            body: null,
            timeoutMs: 1000,
            maxReplyBytes: 100,
          },
          (answer) => {
            replies.push(answer);
            if (answer.ok) x.requestHeaders.set('x-user', answer.headers.getByName('x-user') ?? '');
            x.resume();
          },
        );
        return 'pause';
      },
    }));
    const { port, upstream } = proxyWith([check]);
    expect((await ask(port)).body).toBe('hello');
    expect(upstream.texts[0]).toContain('x-user: ada');
    const client = await world.client(port);
    client.send('GET /slow HTTP/1.1\r\nHost: a\r\n\r\n');
    await authorizer.until(() => authorizer.texts.join('').includes('x-slow'));
    client.reset();
    await authorizer.until(() => authorizer.openCount === 0);
    expect(replies.length).toBe(1);
  });

  test('a call to nowhere reports its code', async () => {
    let code = '';
    const check = bind('check', () => ({
      onRequestHead(x) {
        x.call(
          'none',
          {
            method: 'GET',
            authority: 'x',
            path: '/',
            headers: [],
            body: null,
            timeoutMs: 0,
            maxReplyBytes: 1,
          },
          (answer) => {
            code = answer.ok ? '' : answer.code;
            x.resume();
          },
        );
        return 'pause';
      },
    }));
    expect((await ask(proxyWith([check]).port)).status).toBe(200);
    expect(code).toBe('cluster-not-found');
  });

  test('an upstream filter changes the head of each attempt, and only of that', async () => {
    const ends: number[] = [];
    const stamp: UpstreamHttpFilter = {
      onAttemptHead: (_x, headers, attempt) => (headers.append('x-attempt', String(attempt)), 'continue'),
      onAttemptEnd: (_x, attempt) => void ends.push(attempt),
    };
    let count = 0;
    const { port, upstream } = proxyWith(
      [],
      (peer, text) => {
        if (!text.endsWith('\r\n\r\n')) return;
        peer.clear();
        if (++count === 2) peer.reset();
        else peer.send(reply('ok'));
      },
      [stamp],
    );
    const client = await world.client(port);
    for (let i = 0; i < 2; i++) {
      client.send(get);
      expect((await client.response()).status).toBe(200);
    }
    await world.log.until(2);
    expect(upstream.texts.join('').match(/x-attempt: \d/g)).toEqual([
      'x-attempt: 1',
      'x-attempt: 1',
      'x-attempt: 2',
    ]);
    expect(ends).toEqual([1, 1, 2]);
  });

  test('a filter that throws loses its connection, not the process', async () => {
    const { port } = proxyWith([
      bind('broken', () => ({
        onRequestHead: () => {
          throw new Error('bug');
        },
      })),
    ]);
    const client = await world.client(port);
    client.send(get);
    await client.untilClosed();
    expect(world.errors.splice(0).map(String)).toEqual(['Error: bug']);
  });
});
