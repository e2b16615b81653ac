import { describe, expect, test } from 'bun:test';
import { turns } from '@sluice/testkit';
import { forwardTo, routerBinding, testRoute } from '../../http/test-doubles.ts';
import { freshWorlds } from '../../http/test-fresh-world.ts';
import { World, type UpstreamScript } from '../../http/test-world.ts';
import type { HttpFilterBinding } from '../filter.ts';
import { grpcWebFactory } from './grpc-web-factory.ts';

let world: World;
freshWorlds(() => (world = new World()));

const grpcWeb: HttpFilterBinding = {
  name: grpcWebFactory.name,
  factory: grpcWebFactory,
  config: null,
  isDisabledByDefault: false,
};

const message = (text: string): string => `\0\0\0\0${String.fromCharCode(text.length)}${text}`;
const chunk = (data: string): string => `${data.length.toString(16)}\r\n${data}\r\n`;
const head = (status = '200 OK', type = 'application/grpc'): string =>
  `HTTP/1.1 ${status}\r\nContent-Type: ${type}\r\n`;
const chunked = 'Transfer-Encoding: chunked\r\n\r\n';
const trailers = '0\r\ngrpc-status: 5\r\ngrpc-message: no such thing\r\n\r\n';
const trailersFrame = (() => {
  const text = 'grpc-status:5\r\ngrpc-message:no such thing\r\n';
  return `\x80\0\0\0${String.fromCharCode(text.length)}${text}`;
})();

interface Answer {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

/** Sends the pieces one by one, each only when the upstream has seen the one before it go by. */
async function exchange(
  script: UpstreamScript,
  requestHead: string,
  pieces: string[],
): Promise<Answer & { sent: string }> {
  const upstream = world.upstream(script);
  world.cluster('a', [upstream.port]);
  const port = world.listen(() => testRoute(forwardTo('a')), { filters: [grpcWeb, routerBinding] });
  const client = await world.client(port);
  client.send(`POST /s.S/M HTTP/1.1\r\nHost: a\r\n${requestHead}${chunked}`);
  for (const piece of pieces) {
    await turns();
    client.send(Buffer.from(chunk(piece), 'latin1'));
  }
  client.send('0\r\n\r\n');
  await client.until(
    () => client.text.endsWith('\r\n0\r\n\r\n') || /content-length: 0\r\n(.+\r\n)*\r\n$/i.test(client.text),
  );
  const headEnd = client.text.indexOf('\r\n\r\n');
  return {
    status: Number(client.text.split(' ')[1]),
    head: client.text.slice(0, headEnd + 2).toLowerCase(),
    body: unchunk(client.text.slice(headEnd + 4)),
    sent: upstream.texts[0] ?? '',
  };
}

function unchunk(text: string): string {
  let body = '';
  for (let at = 0; at < text.length;) {
    const lineEnd = text.indexOf('\r\n', at);
    const size = Number.parseInt(text.slice(at, lineEnd), 16);
    if (size === 0) break;
    body += text.slice(lineEnd + 2, lineEnd + 2 + size);
    at = lineEnd + 4 + size;
  }
  return body;
}

/** Answers once the request's last chunk has come. */
function replying(...parts: string[]): UpstreamScript {
  return (peer, text) => {
    if (!text.endsWith('0\r\n\r\n')) return;
    peer.clear();
    for (const part of parts) peer.send(Buffer.from(part, 'latin1'));
  };
}

const binary = 'Content-Type: application/grpc-web+proto\r\nX-Grpc-Web: 1\r\n';
const text = 'Content-Type: application/grpc-web-text\r\nAccept: application/grpc-web-text\r\n';

describe('binary', () => {
  test('messages pass as they are, trailers become the last frame', async () => {
    const reply = replying(head() + chunked, chunk(message('one')), chunk(message('two')), trailers);
    const answer = await exchange(reply, binary, [message('hello'), message('again')]);
    expect(answer.sent).toContain('Content-Type: application/grpc\r\n');
    expect(answer.sent).toContain('te: trailers\r\n');
    expect(answer.sent).toContain('grpc-accept-encoding: identity\r\n');
    expect(unchunk(answer.sent.slice(answer.sent.indexOf('\r\n\r\n') + 4))).toBe(
      message('hello') + message('again'),
    );
    expect(answer.status).toBe(200);
    expect(answer.head).toContain('content-type: application/grpc-web+proto\r\n');
    expect(answer.body).toBe(message('one') + message('two') + trailersFrame);
  });

  test('a declared length is not forwarded', async () => {
    const upstream = world.upstream(replying(`${head()}Grpc-Status: 0\r\nContent-Length: 0\r\n\r\n`));
    world.cluster('a', [upstream.port]);
    const port = world.listen(() => testRoute(forwardTo('a')), { filters: [grpcWeb, routerBinding] });
    const client = await world.client(port);
    client.send(`POST /s.S/M HTTP/1.1\r\nHost: a\r\n${binary}Content-Length: 5\r\n\r\n\0\0\0\0\0`);
    await client.response();
    expect(upstream.texts[0]!.toLowerCase()).not.toContain('content-length');
  });

  test('a reply of trailers only keeps its status in the head', async () => {
    const answer = await exchange(replying(`${head()}Grpc-Status: 7\r\nContent-Length: 0\r\n\r\n`), binary, [
      message('x'),
    ]);
    expect(answer.head).toContain('grpc-status: 7\r\n');
    expect(answer.head).toContain('content-type: application/grpc-web+proto\r\n');
    expect(answer.body).toBe('');
  });

  test('the status is logged', async () => {
    const seen: number[] = [];
    const logger = { log: (record: { grpcStatus: number }) => void seen.push(record.grpcStatus) };
    const upstream = world.upstream(replying(head() + chunked + trailers));
    world.cluster('a', [upstream.port]);
    const more = { filters: [grpcWeb, routerBinding], accessLoggers: [logger, world.log] };
    const client = await world.client(world.listen(() => testRoute(forwardTo('a')), more));
    client.send(`POST /s.S/M HTTP/1.1\r\nHost: a\r\n${binary}${chunked}${chunk(message('x'))}0\r\n\r\n`);
    await world.log.until(1);
    expect(seen).toEqual([5]);
  });
});

describe('text', () => {
  const whole = btoa(message('hello') + message('again'));

  for (const size of [1, 2, 3, 7, 1000])
    test(`base64 split at ${size} reaches the upstream as messages`, async () => {
      const pieces = whole.match(new RegExp(`.{1,${size}}`, 'g'))!;
      const answer = await exchange(replying(head() + chunked + trailers), text, pieces);
      expect(unchunk(answer.sent.slice(answer.sent.indexOf('\r\n\r\n') + 4))).toBe(
        message('hello') + message('again'),
      );
    });

  test('padding between messages is taken', async () => {
    const answer = await exchange(replying(head() + chunked + trailers), text, [
      btoa(message('hello')),
      btoa(message('again')),
    ]);
    expect(unchunk(answer.sent.slice(answer.sent.indexOf('\r\n\r\n') + 4))).toBe(
      message('hello') + message('again'),
    );
  });

  for (const size of [1, 2, 5, 1000])
    test(`a reply split at ${size} is base64, padded only where a message ends`, async () => {
      const body = message('one') + message('three');
      const pieces = body.match(new RegExp(`[^]{1,${size}}`, 'g'))!.map(chunk);
      const answer = await exchange(replying(head() + chunked + pieces.join('') + trailers), text, [whole]);
      expect(answer.head).toContain('content-type: application/grpc-web-text+proto\r\n');
      const groups = answer.body.match(/[A-Za-z0-9+/]+={0,2}/g)!;
      expect(groups.map((group) => atob(group)).join('')).toBe(body + trailersFrame);
      const ends = [message('one').length, body.length, body.length + trailersFrame.length];
      let at = 0;
      for (const group of groups.filter((each) => each.endsWith('='))) {
        at = answer.body.indexOf(group, at) + group.length;
        const decoded = answer.body
          .slice(0, at)
          .match(/[A-Za-z0-9+/]+={0,2}/g)!
          .map((each) => atob(each))
          .join('');
        expect(ends).toContain(decoded.length);
      }
    });

  test('without asking for text the reply is binary', async () => {
    const answer = await exchange(
      replying(head() + chunked + chunk(message('one')) + trailers),
      'Content-Type: application/grpc-web-text+proto; charset=utf-8\r\n',
      [whole],
    );
    expect(answer.head).toContain('content-type: application/grpc-web+proto\r\n');
    expect(answer.body).toBe(message('one') + trailersFrame);
  });

  for (const [name, pieces, details] of [
    ['a character outside the alphabet', ['AA-A'], 'grpc_base_64_decode_failed'],
    ['an end inside a group', ['AAAAA'], 'grpc_base_64_decode_failed_bad_size'],
  ] as const)
    test(`${name} is refused with a status that a gRPC-Web client reads`, async () => {
      const answer = await exchange(replying(head() + chunked + trailers), text, [...pieces]);
      expect(answer.status).toBe(400);
      expect(answer.head).toContain('grpc-status: 13\r\n');
      expect(answer.head).toContain('content-type: application/grpc-web-text+proto\r\n');
      expect(answer.head).toContain('x-sluice-reason: grpc-web-text-invalid\r\n');
      await world.log.until(1);
      expect(world.log.lines[0]!.details).toBe(details);
    });
});

describe('errors', () => {
  test('a response that is no gRPC becomes a status and a message in the head', async () => {
    const answer = await exchange(
      replying(`${head('503 No', 'text/plain')}Content-Length: 13\r\n\r\nno more: 100%`),
      binary,
      [message('x')],
    );
    expect(answer.status).toBe(503);
    expect(answer.head).toContain('grpc-status: 14\r\n');
    expect(answer.head).toContain('grpc-message: no more: 100%25\r\n');
    expect(answer.head).toContain('content-type: application/grpc-web+proto\r\n');
    expect(answer.body).toBe('');
  });

  test('of a long error page only the beginning is kept', async () => {
    const page = 'x'.repeat(200_000);
    const answer = await exchange(
      replying(`${head('404 No', 'text/html')}Content-Length: ${page.length}\r\n\r\n${page}`),
      binary,
      [message('x')],
    );
    expect(answer.head).toContain('grpc-status: 12\r\n');
    expect(/grpc-message: (x+)\r\n/.exec(answer.head)?.[1]).toHaveLength(4096);
  });

  test('an error without content has a status too', async () => {
    const answer = await exchange(
      replying(`${head('401 No', 'text/plain')}Content-Length: 0\r\n\r\n`),
      binary,
      [message('x')],
    );
    expect([answer.status, answer.head.includes('grpc-status: 16\r\n')]).toEqual([401, true]);
  });

  test("the proxy's own replies reach a gRPC-Web client as trailers only", async () => {
    world.cluster('a', []);
    const port = world.listen(() => testRoute(forwardTo('a')), { filters: [grpcWeb, routerBinding] });
    const client = await world.client(port);
    client.send(`POST /s.S/M HTTP/1.1\r\nHost: a\r\n${text}Content-Length: 0\r\n\r\n`);
    const { status, head: answer } = await client.response();
    expect(status).toBe(200);
    expect(answer).toContain('grpc-status: 14');
    expect(answer).toContain('application/grpc-web-text+proto');
    expect(answer).toContain('x-sluice-reason: no-healthy-upstream');
  });
});

describe('what is no gRPC-Web passes untouched', () => {
  for (const fields of [
    'Content-Type: application/grpc\r\n',
    'Content-Type: application/grpc-web+json\r\n',
    '',
  ])
    test(JSON.stringify(fields), async () => {
      const reply = replying(`${head('200 OK', 'application/json')}Content-Length: 2\r\n\r\n{}`);
      const upstream = world.upstream(reply);
      world.cluster('a', [upstream.port]);
      const port = world.listen(() => testRoute(forwardTo('a')), { filters: [grpcWeb, routerBinding] });
      const client = await world.client(port);
      client.send(`POST / HTTP/1.1\r\nHost: a\r\n${fields}${chunked}${chunk('data')}0\r\n\r\n`);
      const { head: answer, body } = await client.response();
      expect(upstream.texts[0]).toContain(fields);
      expect(answer.toLowerCase()).toContain('content-type: application/json');
      expect(answer.toLowerCase()).toContain('content-length: 2');
      expect(body).toBe('{}');
    });

  test('nothing of one request reaches the next on its connection', async () => {
    const upstream = world.upstream((peer, received) => {
      if (received.startsWith('POST') && received.endsWith('0\r\n\r\n')) {
        peer.clear();
        peer.send(`${head()}${chunked}${chunk(message('x'))}${trailers}`);
      } else if (received.startsWith('GET') && received.endsWith('\r\n\r\n')) {
        peer.clear();
        peer.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      }
    });
    world.cluster('a', [upstream.port]);
    const port = world.listen(() => testRoute(forwardTo('a')), { filters: [grpcWeb, routerBinding] });
    const client = await world.client(port);
    client.send(`POST /s.S/M HTTP/1.1\r\nHost: a\r\n${text}${chunked}${chunk(btoa(message('x')))}0\r\n\r\n`);
    await client.until(() => client.text.endsWith('0\r\n\r\n'));
    client.text = '';
    client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    expect((await client.response()).body).toBe('ok');
  });
});
