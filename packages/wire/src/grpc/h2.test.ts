import { describe, expect, test } from 'bun:test';
import { latin1Bytes } from '../headers/bytes.ts';
import {
  data,
  frame,
  goAway,
  headers,
  join,
  resetStream,
  settings,
  settingsAck,
} from '../h2/frame-builder.ts';
import { H2ErrorCode } from '../h2/error-code.ts';
import { GrpcClientConnection, type GrpcClientOwner } from './h2-client.ts';
import { GrpcServerConnection, type GrpcServerOwner } from './h2-server.ts';
import { frameGrpcMessage } from './message-framing.ts';
import { GrpcStatus } from './status.ts';
import type { GrpcHandler, GrpcServerStream, GrpcStreamSink } from './transport.ts';

const PATH = '/test.Service/Method';
const text = (message: Uint8Array): string => Buffer.from(message).toString('latin1');

class Sink implements GrpcStreamSink {
  readonly lines: string[] = [];
  onMessage(message: Uint8Array): void {
    this.lines.push(message.length > 20 ? `message (${message.length})` : `message ${text(message)}`);
  }
  onStatus(code: number, message: string, trailers: readonly (readonly [string, string])[]): void {
    const own = trailers
      .filter(([name]) => name.startsWith('x-'))
      .map(([name, value]) => ` ${name}=${value}`);
    this.lines.push(`status ${code} ${message}${own.join('')}`.trimEnd());
  }
  onDrain(): void {
    this.lines.push('drain');
  }
}

interface World {
  readonly client: GrpcClientConnection;
  readonly server: GrpcServerConnection;
  readonly seen: string[];
  settle(): void;
}

/** A client and a server that exchange octets whenever `settle` is called. */
function world(handler: GrpcHandler, limits: Partial<GrpcServerOwner['limits']> = {}): World {
  const seen: string[] = [];
  const clientOwner: GrpcClientOwner = {
    wantsFlush: () => undefined,
    onPong: (payload) => seen.push(`pong ${payload}`),
    onUnusable: () => seen.push('unusable'),
    onFinished: () => seen.push('client finished'),
  };
  const serverOwner: GrpcServerOwner = {
    handlers: new Map([[PATH, handler]]),
    limits: {
      maxStreams: 10,
      maxStreamsInAll: 100,
      maxMessageBytes: 10_000,
      maxQueuedBytes: 2_000_000,
      ...limits,
    },
    peer: () => ({ address: '127.0.0.1:1', spiffeId: 'spiffe://a/ns/b/sa/c' }),
    wantsFlush: () => undefined,
    onFinished: (reason) => seen.push(`server finished ${reason}`.trimEnd()),
    onFault: (path, error) => seen.push(`fault ${path} ${String(error)}`),
  };
  const options = { authority: 'a:1', scheme: 'http' as const, maxMessageBytes: 10_000_000 };
  const client = new GrpcClientConnection(options, clientOwner, 0);
  const server = new GrpcServerConnection(serverOwner, 0);
  const settle = (): void => {
    for (;;) {
      const up = client.output.take();
      const down = server.output.take();
      if (up !== null) server.receive(up, 0);
      if (down !== null) client.receive(down, 0);
      if (up === null && down === null) return;
    }
  };
  return { client, server, seen, settle };
}

/** Echoes, and ends with OK when the client does. */
const echo: GrpcHandler = (stream) => ({
  onMessage: (message) => void stream.send(message),
  onHalfClose: () => stream.end(GrpcStatus.ok, 'all said', [['x-count', '1']]),
  onCancelled: () => undefined,
});

describe('gRPC over our HTTP/2', () => {
  test('messages go both ways, the status comes last with its trailers', () => {
    const { client, settle } = world(echo);
    const sink = new Sink();
    const stream = client.open(PATH, [], sink);
    stream.send(latin1Bytes('one'));
    settle();
    stream.send(latin1Bytes(''));
    stream.halfClose();
    settle();
    expect(sink.lines).toEqual(['message one', 'message ', 'status 0 all said x-count=1']);
    expect(client.session.openStreamCount).toBe(0);
  });

  test('the handler sees metadata, path and peer, but no made-up host', () => {
    let seen: GrpcServerStream | null = null;
    const { client, settle } = world((stream) => {
      seen = stream;
      stream.end(GrpcStatus.unauthenticated, 'wrong token, 100 % sure');
      return { onMessage: () => undefined, onHalfClose: () => undefined, onCancelled: () => undefined };
    });
    const sink = new Sink();
    client.open(
      PATH,
      [
        ['authorization', 'Bearer x'],
        ['x-a', '1'],
        ['x-a', '2'],
      ],
      sink,
    );
    settle();
    const { metadata, path, peer } = seen as unknown as GrpcServerStream;
    expect(metadata).toEqual([
      ['content-type', 'application/grpc'],
      ['te', 'trailers'],
      ['authorization', 'Bearer x'],
      ['x-a', '1'],
      ['x-a', '2'],
    ]);
    expect([path, peer.spiffeId]).toEqual([PATH, 'spiffe://a/ns/b/sa/c']);
    expect(sink.lines).toEqual(['status 16 wrong token, 100 % sure']);
  });

  test('a message larger than every window arrives whole', () => {
    const { client, server, settle } = world(
      (stream) => ({
        onMessage: () => void stream.send(new Uint8Array(9_000_000)),
        onHalfClose: () => stream.end(0),
        onCancelled: () => undefined,
      }),
      { maxQueuedBytes: 10_000_000 },
    );
    const sink = new Sink();
    const stream = client.open(PATH, [], sink);
    stream.send(latin1Bytes('x'));
    stream.halfClose();
    settle();
    expect(sink.lines).toEqual(['message (9000000)', 'status 0']);
    expect(server.session.openStreamCount).toBe(0);
  });

  test('an unknown method, a message too large, and a fault each end their stream alone', () => {
    let cancelled = 0;
    const { client, seen, settle } = world((stream) => ({
      onMessage: (message) => {
        if (text(message) === 'fault') throw new Error('a mistake of ours');
        stream.send(message);
      },
      onHalfClose: () => stream.end(0),
      onCancelled: () => cancelled++,
    }));
    const sinks = ['unknown', 'large', 'fault', 'good'].map(() => new Sink());
    const [unknown, large, fault, good] = sinks;
    client.open('/test.Service/Other', [], unknown!);
    client.open(PATH, [], large!).send(new Uint8Array(10_001));
    client.open(PATH, [], fault!).send(latin1Bytes('fault'));
    const stream = client.open(PATH, [], good!);
    stream.send(latin1Bytes('good'));
    stream.halfClose();
    settle();
    expect(sinks.map((sink) => sink.lines.join('; '))).toEqual([
      'status 12 no such method',
      'status 8 grpc-message-too-large',
      'status 13 internal error',
      'message good; status 0',
    ]);
    expect(cancelled).toBe(2);
    expect(seen).toEqual([`fault ${PATH} Error: a mistake of ours`]);
    expect(client.session.openStreamCount).toBe(0);
  });

  test('a client that cancels is told to the handler, and nothing more to the client', () => {
    let cancelled = 0;
    const { client, settle } = world((stream) => ({
      onMessage: (message) => void stream.send(message),
      onHalfClose: () => undefined,
      onCancelled: () => cancelled++,
    }));
    const sink = new Sink();
    const stream = client.open(PATH, [], sink);
    stream.send(latin1Bytes('x'));
    settle();
    stream.cancel();
    stream.cancel();
    stream.send(latin1Bytes('late'));
    settle();
    expect(sink.lines).toEqual(['message x', 'status 1 cancelled']);
    expect(cancelled).toBe(1);
  });

  test('a client that does not read is told no more, and cut when too much waits', () => {
    const results: boolean[] = [];
    let cancelled = 0;
    const { client, settle } = world(
      (stream) => ({
        onMessage: () => {
          for (let i = 0; i < 6; i++) results.push(stream.send(new Uint8Array(500_000)));
        },
        onHalfClose: () => undefined,
        onCancelled: () => cancelled++,
      }),
      { maxQueuedBytes: 1_200_000 },
    );
    const sink = new Sink();
    client.open(PATH, [], sink).send(latin1Bytes('x'));
    settle();
    // A window of one MiB, then 1.2 MB may wait.
    expect(results).toEqual([true, true, false, false, false, false]);
    expect(cancelled).toBe(1);
    expect(sink.lines.at(-1)).toBe('status 8 the server reset the stream: ENHANCE_YOUR_CALM');
  });

  test('a sender is told when there is room again', () => {
    let stream: GrpcServerStream | null = null;
    let drains = 0;
    const { client, settle } = world((opened) => {
      stream = opened;
      return {
        onMessage: () => undefined,
        onHalfClose: () => undefined,
        onCancelled: () => undefined,
        onDrain: () => drains++,
      };
    });
    const sink = new Sink();
    client.open(PATH, [], sink);
    settle();
    expect(stream!.send(new Uint8Array(1_500_000))).toBe(false);
    settle();
    expect(drains).toBe(1);
    expect(stream!.send(new Uint8Array(1))).toBe(true);
  });

  test('the end of the connection ends every stream, with its reason', () => {
    let cancelled = 0;
    const { client, server, settle } = world(() => ({
      onMessage: () => undefined,
      onHalfClose: () => undefined,
      onCancelled: () => cancelled++,
    }));
    const sinks = [new Sink(), new Sink()];
    for (const sink of sinks) client.open(PATH, [], sink);
    settle();
    client.closed('no answer to a ping');
    server.closed();
    expect(sinks.map(({ lines }) => lines)).toEqual([
      ['status 14 no answer to a ping'],
      ['status 14 no answer to a ping'],
    ]);
    expect(cancelled).toBe(2);
    const late = new Sink();
    client.open(PATH, [], late);
    expect(late.lines).toEqual(['status 14 no answer to a ping']);
  });

  test('streams beyond all that a connection may begin end it', () => {
    const { client, seen, settle } = world(echo, { maxStreamsInAll: 2 });
    for (let i = 0; i < 3; i++) client.open(PATH, [], new Sink()).halfClose();
    settle();
    expect(seen).toEqual(['server finished too many streams, one after the other', 'unusable']);
  });

  test('draining lets streams end', () => {
    const { client, seen, settle } = world(echo);
    const sink = new Sink();
    const stream = client.open(PATH, [], sink);
    settle();
    client.session.beginDrain();
    expect([client.isUsable, seen.length]).toEqual([false, 0]);
    stream.halfClose();
    settle();
    expect(seen).toEqual(['client finished']);
    expect(sink.lines).toEqual(['status 0 all said x-count=1']);
  });
});

describe('a gRPC client makes of', () => {
  const answered = (...frames: Uint8Array[]): string[] => {
    const { client } = world(echo);
    const sink = new Sink();
    client.open(PATH, [], sink);
    client.receive(join(settings(), settingsAck, ...frames), 0);
    return sink.lines;
  };
  const ok = [[':status', '200']] as const;

  test('a trailers-only answer its status', () => {
    expect(answered(headers(1, [...ok, ['grpc-status', '5'], ['grpc-message', 'not%20here']]))).toEqual([
      'status 5 not here',
    ]);
  });

  test('an answer of HTTP the status that gRPC maps it to', () => {
    for (const [status, code] of [
      [503, 14],
      [404, 12],
      [401, 16],
      [403, 7],
      [429, 14],
      [500, 2],
    ] as const)
      expect(answered(headers(1, [[':status', String(status)]]))).toEqual([
        `status ${code} HTTP status ${status}`,
      ]);
    expect(answered(headers(1, [[':status', '503']], 4), data(1, 'text', true))).toEqual([
      'status 14 HTTP status 503',
    ]);
  });

  test('an end without a status UNAVAILABLE, a reset what its code says', () => {
    expect(answered(headers(1, ok))).toEqual(['status 14 the stream ended without a status']);
    for (const [code, status] of [
      [H2ErrorCode.REFUSED_STREAM, 14],
      [H2ErrorCode.CANCEL, 1],
      [H2ErrorCode.ENHANCE_YOUR_CALM, 8],
      [H2ErrorCode.INADEQUATE_SECURITY, 7],
      [H2ErrorCode.NO_ERROR, 13],
    ] as const)
      expect(answered(resetStream(1, code))[0]?.startsWith(`status ${status} `)).toBe(true);
  });

  test('a compressed message, and one cut off, an error', () => {
    expect(answered(headers(1, ok, 4), frame(0, 0, 1, Uint8Array.of(1, 0, 0, 0, 0)))).toEqual([
      'status 13 grpc-compression-unsupported',
    ]);
    const whole = frameGrpcMessage(latin1Bytes('abc'));
    expect(
      answered(headers(1, ok, 4), frame(0, 0, 1, whole.slice(0, 6)), headers(1, [['grpc-status', '0']])),
    ).toEqual(['status 13 grpc-framing-invalid']);
  });

  test('GOAWAY below its stream UNAVAILABLE', () => {
    expect(answered(goAway(0, 11))).toEqual(['status 14 the server reset the stream: REFUSED_STREAM']);
  });
});
