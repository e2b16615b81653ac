/**
 * Sessions of both roles: no octets make one throw, write what is no frame, or depend on how input is split;
 * and what its owner is told never has what HTTP/1 could not carry.
 */
import {
  END_HEADERS,
  block,
  continuation,
  data,
  frame,
  get,
  goAway,
  headers,
  join,
  ok,
  ping,
  post,
  preface,
  priority,
  resetStream,
  settings,
  settingsAck,
  windowUpdate,
  word,
} from './frame-builder.ts';
import { SessionUnderTest, type SessionTestOptions } from './transcript.ts';

const greeting = join(preface, settings([4, 100]), settingsAck);
const octets = block(get);
const seeds: readonly Uint8Array[] = [
  join(greeting, headers(1, get), headers(3, post, END_HEADERS), data(3, 'hello'), headers(3, [['x', 'y']])),
  join(greeting, frame(1, 1, 1, octets.subarray(0, 5)), continuation(1, octets.subarray(5), true)),
  join(
    greeting,
    headers(1, [...post, ['content-length', '5'], ['cookie', 'a'], ['cookie', 'b']], END_HEADERS),
    data(1, 'hello', true),
  ),
  join(
    greeting,
    ping(),
    windowUpdate(0, 5),
    headers(1, get),
    windowUpdate(1, 9),
    settings([4, 0], [1, 0]),
    priority(1, 0),
  ),
  join(
    greeting,
    headers(1, post, END_HEADERS),
    frame(0, 9, 1, join(Uint8Array.of(2), word(1), word(2))),
    resetStream(1, 8),
    goAway(0, 0),
  ),
  join(
    settings(),
    settingsAck,
    headers(1, [[':status', '103']], END_HEADERS),
    headers(1, ok, END_HEADERS),
    data(1, 'x', true),
  ),
  join(
    settings([3, 1]),
    headers(1, [...ok, ['content-length', '3']], END_HEADERS),
    data(1, 'abc'),
    headers(1, [['grpc-status', '0']]),
    headers(3, ok),
  ),
];

const FORBIDDEN = /[\r\n\0]/;

export default {
  name: 'h2-session',
  seeds: (): Uint8Array[] => [...seeds],
  run(bytes: Uint8Array): void {
    const role = bytes[0] === preface[0] ? 'server' : 'client';
    const whole = transcribe(bytes, role);
    for (const line of whole) {
      if (FORBIDDEN.test(line)) throw new Error(`told what no field may hold: ${JSON.stringify(line)}`);
      if (line.startsWith('< frame') || line.startsWith('< invalid')) throw new Error(`wrote ${line}`);
    }
    for (const piece of [1, 2, 7, 40]) {
      const split = transcribe(bytes, role, piece);
      if (split.join('\n') !== whole.join('\n'))
        throw new Error(`split by ${piece}:\n${split.join('\n')}\n-- whole:\n${whole.join('\n')}`);
    }
  },
};

/** Lines but for content, of which more or less may arrive before what is wrong with it. */
function transcribe(bytes: Uint8Array, role: 'server' | 'client', piece = bytes.length): string[] {
  const peer = new SessionUnderTest({ ...options, role });
  if (role === 'client') {
    for (let i = 0; i < 3; i++) {
      const stream = peer.session.open(i);
      stream?.sendRequestHead(i === 1 ? 'HEAD' : 'GET', 'http', 'a', '/', '', stream.headers, true);
    }
    peer.read();
  }
  peer.receive(bytes, Math.max(1, piece));
  return peer.lines.filter((line) => !line.startsWith('data '));
}

const options: SessionTestOptions = {
  consumes: false,
  act: (event, stream, peer) => {
    if (stream === null || stream.pseudo.status !== 0) return;
    if (event === 'too-large') stream.reset(11);
    if (event !== 'head') return;
    stream.sendResponseHead(200, stream.headers, false);
    stream.sendData(new Uint8Array(150), 0, 150, stream.isRemoteEnded);
    if (stream.id % 4 === 3) stream.sendEnd(stream.headers);
    if (stream.id % 8 === 5) stream.reset(0);
    if (peer.session.openStreamCount > 3) peer.session.goAway(0);
  },
};
