/** gRPC over HTTP/2: refused streams, calls that are cut after their response has begun, gRPC-Web on both sides. */
import { describe, expect, test } from 'bun:test';
import { H2ErrorCode } from '@sluice/wire';
import { forwardTo, routerBinding, testRoute } from '../../http/test-doubles.ts';
import { freshWorlds } from '../../http/test-fresh-world.ts';
import { H2TestClient } from '../../http/test-h2.ts';
import { DATA, END_HEADERS, END_STREAM, frame, framed, HEADERS, reset } from '../../http/test-h2-frames.ts';
import { World, type UpstreamPeer } from '../../http/test-world.ts';
import type { HttpManagerConfig } from '../../listener/listener.ts';
import type { ForwardAction } from '../../route/route.ts';
import { grpcWebFactory } from '../grpc-web/grpc-web-factory.ts';

let world: World;
freshWorlds(() => (world = new World()));

const message = Buffer.from([0, 0, 0, 0, 2, 104, 105]);
/** HPACK: 200 and the content type, by the static table. */
const head = Buffer.concat([Buffer.from([0x88, 0x0f, 0x10, 16]), Buffer.from('application/grpc')]);
const literal = (name: string, value: string): Buffer =>
  Buffer.concat([
    Buffer.from([0, name.length]),
    Buffer.from(name),
    Buffer.from([value.length]),
    Buffer.from(value),
  ]);

/** What an endpoint does with the nth call. */
type CallScript = (peer: UpstreamPeer, stream: number, nth: number) => void;

const begins = (peer: UpstreamPeer, stream: number, more: Buffer = Buffer.alloc(0)): void => {
  peer.send(frame(HEADERS, END_HEADERS, stream, Buffer.concat([head, more])));
  peer.send(frame(DATA, 0, stream, message));
};
const resets = (peer: UpstreamPeer, stream: number, code: H2ErrorCode): void =>
  peer.send(reset(stream, code));
/** One message and status 0. */
const answers: CallScript = (peer, stream) => {
  begins(peer, stream);
  peer.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, literal('grpc-status', '0')));
};

function proxyTo(
  script: CallScript,
  action: Partial<ForwardAction> = {},
  manager: Partial<HttpManagerConfig> = {},
) {
  const state = { calls: 0 };
  const upstream = world.upstream(
    framed((peer, { type, stream }) => {
      if (type === HEADERS) script(peer, stream, ++state.calls);
    }),
  );
  world.cluster('a', [upstream.port], { protocol: 'h2' });
  const client = world.owns(new H2TestClient(world.listen(() => testRoute(forwardTo('a', action)), manager)));
  return { upstream, client, state };
}

const call = (client: H2TestClient, type = 'application/grpc') =>
  client.call({ ':method': 'POST', ':path': '/s.S/M', 'content-type': type, te: 'trailers' });

describe('a stream that is refused unprocessed', () => {
  const refusing =
    (times: number): CallScript =>
    (peer, stream, nth) =>
      nth <= times ? resets(peer, stream, H2ErrorCode.REFUSED_STREAM) : answers(peer, stream, nth);

  test('is sent again, without a policy', async () => {
    const { upstream, client, state } = proxyTo(refusing(1));
    const answer = await call(client).end();
    expect(answer.trailers).toMatchObject({ 'grpc-status': '0' });
    expect(state.calls).toBe(2);
    await world.log.until(1);
    expect(world.log.lines[0]!.decisions).toEqual([
      `resend: 127.0.0.1:${upstream.port} refused the stream unprocessed`,
    ]);
  });

  test('and refused for the fourth time is UNAVAILABLE', async () => {
    const { client, state } = proxyTo(refusing(4));
    const answer = await call(client).end();
    expect(answer.headers).toMatchObject({ 'grpc-status': '14', 'x-sluice-reason': 'upstream-stream-reset' });
    expect(state.calls).toBe(4);
  });
});

describe('a call that is cut after its response has begun', () => {
  const cut: CallScript = (peer, stream) => {
    begins(peer, stream);
    resets(peer, stream, H2ErrorCode.INTERNAL_ERROR);
  };

  test('by the end of its connection is UNAVAILABLE, in trailers', async () => {
    const { client } = proxyTo((peer, stream) => {
      begins(peer, stream);
      peer.end();
    });
    const answer = await call(client).end();
    expect([answer.status, answer.resetCode, answer.receivedBytes]).toEqual([200, 0, message.length]);
    expect(answer.trailers).toMatchObject({ 'grpc-status': '14', 'x-sluice-reason': 'upstream-reset' });
    await world.log.until(1);
    expect(world.log.lines[0]).toMatchObject({
      reason: 'upstream-reset',
      details: 'upstream_reset_after_response_started{connection_termination}',
    });
  });

  test('by a reset is UNAVAILABLE', async () => {
    const { client } = proxyTo(cut);
    const answer = await call(client).end();
    expect(answer.trailers).toMatchObject({
      'grpc-status': '14',
      'x-sluice-reason': 'upstream-stream-reset',
    });
  });

  test('by the duration of the route is DEADLINE_EXCEEDED', async () => {
    const { client, state } = proxyTo((peer, stream) => begins(peer, stream), { maxStreamDurationMs: 500 });
    const going = call(client);
    await going.until(() => going.receivedBytes > 0);
    world.clock.advance(600);
    const answer = await going.end();
    expect(answer.trailers).toMatchObject({ 'grpc-status': '4', 'x-sluice-reason': 'max-stream-duration' });
    expect(state.calls).toBe(1);
  });

  test('is reset where a length was declared, and where it is no gRPC', async () => {
    const declared: CallScript = (peer, stream) => {
      begins(peer, stream, literal('content-length', '100'));
      resets(peer, stream, H2ErrorCode.INTERNAL_ERROR);
    };
    const { client } = proxyTo(declared);
    expect((await call(client).end()).resetCode).not.toBe(0);
    const plain = proxyTo(cut);
    expect((await call(plain.client, 'text/plain').end()).resetCode).not.toBe(0);
  });
});

describe('gRPC-Web over HTTP/2', () => {
  const grpcWeb = {
    name: grpcWebFactory.name,
    factory: grpcWebFactory,
    config: null,
    isDisabledByDefault: false,
  };
  const manager = { filters: [grpcWeb, routerBinding] };

  test('has its trailers in the body and none beside it', async () => {
    const { client } = proxyTo(answers, {}, manager);
    const answer = await call(client, 'application/grpc-web').end();
    expect(answer.trailers).toBeNull();
    expect(answer.headers['content-type']).toBe('application/grpc-web+proto');
    expect(answer.body).toBe(`${message.toString('latin1')}\x80\0\0\0\x0fgrpc-status:0\r\n`);
  });

  test('learns in the body why a call was cut', async () => {
    const cut: CallScript = (peer, stream) => {
      begins(peer, stream);
      resets(peer, stream, H2ErrorCode.INTERNAL_ERROR);
    };
    const { client } = proxyTo(cut, {}, manager);
    const answer = await call(client, 'application/grpc-web').end();
    expect(answer.resetCode).toBe(0);
    expect(answer.body).toContain('grpc-status:14\r\n');
    expect(answer.body).toContain('x-sluice-reason:upstream-stream-reset\r\n');
  });
});
