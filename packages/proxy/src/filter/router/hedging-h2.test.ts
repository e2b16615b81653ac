/** Two attempts of one request as streams of one HTTP/2 connection: the loser's stream is reset, nothing else. */
import { expect, test } from 'bun:test';
import { H2ErrorCode } from '@sluice/wire';
import { expectNothingHeld, freshWorlds } from '../../http/test-fresh-world.ts';
import {
  DATA,
  END_STREAM,
  frame,
  framed,
  HEADERS,
  headers,
  ok,
  resetCode,
  RST_STREAM,
  type Frame,
} from '../../http/test-h2-frames.ts';
import type { UpstreamPeer } from '../../http/test-world.ts';
import { get, HedgedWorld, onTimeout } from './test-hedged.ts';

let world: HedgedWorld;
freshWorlds(() => (world = new HedgedWorld()));

function answer(peer: UpstreamPeer, stream: number, body: string): void {
  peer.send(headers(stream, ok, 0));
  peer.send(frame(DATA, END_STREAM, stream, body));
}

/** An endpoint that takes requests and answers none by itself. */
function h2Endpoint() {
  const frames: Frame[] = [];
  const held = world.held(framed((_peer, one) => void frames.push(one)));
  const streamsOf = (type: number): number[] =>
    frames.filter((each) => each.type === type).map(({ stream }) => stream);
  const until = (type: number, count: number): Promise<void> =>
    held.upstream.until(() => streamsOf(type).length >= count);
  return { held, frames, streamsOf, until };
}

/** A client that has asked, and both attempts of its request. */
async function twoStreams() {
  const endpoint = h2Endpoint();
  const { cluster, port } = world.hedged([endpoint.held.upstream.port], {
    hedging: onTimeout,
    cluster: { protocol: 'h2' },
  });
  const client = await world.client(port);
  client.send(get);
  await endpoint.until(HEADERS, 1);
  world.clock.advance(100);
  await endpoint.until(HEADERS, 2);
  const [first, second] = endpoint.streamsOf(HEADERS) as [number, number];
  return { ...endpoint, client, cluster, first, second };
}

test('what the loser says after its reset is dropped, and the connection goes on', async () => {
  const { client, cluster, held, frames, streamsOf, until, first, second } = await twoStreams();
  answer(held.peer, second, 'second');
  await client.until(() => client.text.includes('second'));
  await until(RST_STREAM, 1);
  const reset = frames.find(({ type }) => type === RST_STREAM)!;
  expect([reset.stream, resetCode(reset)]).toEqual([first, H2ErrorCode.CANCEL]);
  answer(held.peer, first, 'too late');
  client.text = '';
  client.send(get);
  await until(HEADERS, 3);
  answer(held.peer, streamsOf(HEADERS)[2]!, 'third');
  await client.until(() => client.text.includes('third'));
  expect(client.text).not.toContain('too late');
  await world.log.until(2);
  expect(world.log.lines.map(({ status, attempts }) => [status, attempts])).toEqual([
    [200, 2],
    [200, 1],
  ]);
  expect(held.upstream.connectionCount).toBe(1);
  expectNothingHeld(cluster);
});

test('both answers in one chunk: the first is the answer', async () => {
  const { client, cluster, held, first, second } = await twoStreams();
  held.peer.send(
    Buffer.concat(
      [first, second].flatMap((stream) => [
        headers(stream, ok, 0),
        frame(DATA, END_STREAM, stream, `of ${stream}`),
      ]),
    ),
  );
  await client.until(() => client.text.includes('of '));
  await world.log.until(1);
  expect(client.text).toContain(`of ${first}`);
  expect(client.text).not.toContain(`of ${second}`);
  expect(world.log.lines).toHaveLength(1);
  expectNothingHeld(cluster);
});

test('a client that leaves resets both', async () => {
  const { client, cluster, streamsOf, until } = await twoStreams();
  client.reset();
  await until(RST_STREAM, 2);
  expect(streamsOf(RST_STREAM).sort()).toEqual(streamsOf(HEADERS).sort());
  await world.log.until(1);
  expectNothingHeld(cluster);
});
