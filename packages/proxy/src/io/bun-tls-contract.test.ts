/**
 * What Bun's TLS does beyond its types and documentation, each relied upon by the socket layer. When one of
 * these changes, this file says which, instead of a proxy that trusts a stranger.
 */
import { expect, test } from 'bun:test';
import type { Socket } from 'bun';
import { readdirSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { TestAuthority, type TestLeaf } from '@sluice/testkit';
import { testAuthority } from './test-tls.ts';
import { alpnWire } from './tls-engine.ts';

type AnySocket = Socket<unknown> & {
  readonly alpnProtocol: string | false;
  isSessionReused(): boolean;
  setSession(session: Uint8Array): void;
  getPeerCertificate(isAbbreviated: boolean): { raw?: Buffer; issuerCertificate?: unknown } | undefined;
};

interface Side {
  readonly leaf?: TestLeaf | null;
  readonly alpn?: readonly string[];
  readonly session?: Uint8Array | null;
  onOpen?(socket: AnySocket): void;
  onHandshake?(socket: AnySocket, ok: boolean, code: string | null): void;
  onData?(socket: AnySocket, data: Buffer): void;
  onSession?(session: Uint8Array): void;
}

function contextOf(leaf: TestLeaf | null, isServer: boolean): unknown {
  const options = {
    ca: testAuthority.rootPem,
    ...(leaf === null ? {} : { key: leaf.keyPem, cert: leaf.chainPem }),
    requestCert: isServer,
    rejectUnauthorized: false,
  };
  return createSecureContext(options).context;
}

function upgrade(
  socket: Socket<unknown>,
  context: unknown,
  side: Side,
  initialData: Uint8Array | null,
  done: () => void,
) {
  const options = {
    isServer: initialData !== null,
    ...(initialData === null ? {} : { initialData }),
    tls: {
      secureContext: context,
      requestCert: true,
      rejectUnauthorized: false,
      ...(side.alpn === undefined ? {} : { ALPNProtocols: alpnWire(side.alpn) }),
    },
    data: 'engine',
    socket: {
      open: (secured: AnySocket) => {
        if (side.session) secured.setSession(side.session);
        side.onOpen?.(secured);
      },
      handshake: (secured: AnySocket, ok: boolean, error: { code?: string } | null) =>
        side.onHandshake?.(secured, ok, error?.code ?? null),
      data: (secured: AnySocket, data: Buffer) => side.onData?.(secured, data),
      session: (_secured: AnySocket, session: Buffer) => side.onSession?.(session),
      drain() {},
      end() {},
      error() {},
      close: done,
    },
  };
  return socket.upgradeTLS(options as never);
}

/** One connection between two upgraded sockets; resolves when either has closed. */
async function meet(server: Side, client: Side): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const serverContext = contexts.get(server) ?? contextOf(server.leaf ?? testAuthority.leaf(), true);
  contexts.set(server, serverContext);
  const listener = Bun.listen<unknown>({
    hostname: '127.0.0.1',
    port: 0,
    allowHalfOpen: true,
    data: undefined,
    socket: {
      data(socket, data) {
        if (socket.data === 'below') return;
        socket.data = 'below';
        upgrade(socket, serverContext, server, data, resolve);
      },
    },
  });
  await Bun.connect<unknown>({
    hostname: '127.0.0.1',
    port: listener.port,
    allowHalfOpen: true,
    data: undefined,
    socket: {
      open: (socket) =>
        void upgrade(
          socket,
          contextOf(client.leaf === undefined ? testAuthority.leaf() : client.leaf, false),
          client,
          null,
          resolve,
        ),
      data() {},
    },
  });
  await promise;
  listener.stop(true);
}
const contexts = new Map<Side, unknown>();

test('a server hears of an unverified client by the error alone, on a resumed session too', async () => {
  for (const [leaf, expected] of [
    [testAuthority.foreignLeaf(), 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY'],
    [null, 'UNABLE_TO_GET_ISSUER_CERT'],
    [testAuthority.leaf(), null],
  ] as const) {
    const seen: unknown[] = [];
    const server: Side = {
      onHandshake(socket, ok, code) {
        seen.push([ok, code, socket.isSessionReused()]);
        socket.write('x');
      },
    };
    let session: Uint8Array | null = null;
    const client = (): Side => ({
      leaf,
      session,
      onSession: (bytes) => (session = bytes),
      onData: (socket) => socket.terminate(),
    });
    await meet(server, client());
    await meet(server, client());
    expect(seen).toEqual([
      [true, expected, false],
      [true, expected, true],
    ]);
  }
});

test('a name that differs is the least of errors; of several about the chain the last one is told', async () => {
  const told: (string | null)[] = [];
  const leaves = [testAuthority.leaf(), testAuthority.expiredLeaf(), testAuthority.foreignLeaf()];
  for (const leaf of leaves)
    await meet(
      { leaf },
      {
        onHandshake(socket, _ok, code) {
          told.push(code);
          socket.terminate();
        },
      },
    );
  expect(told).toEqual([
    'ERR_TLS_CERT_ALTNAME_INVALID',
    'CERT_HAS_EXPIRED',
    'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  ]);
  // Why `allow_expired_certificate` has the chain judged a second time.
  const { promise, resolve } = Promise.withResolvers<string | null>();
  const foreignAndExpired = new TestAuthority({ name: 'foreign' }).expiredLeaf();
  await meet(
    { leaf: foreignAndExpired },
    { onHandshake: (socket, _ok, code) => (resolve(code), socket.terminate()) },
  );
  expect(await promise).toBe('CERT_HAS_EXPIRED');
});

test('nothing written before the handshake leaves, and the upgrade opens at once', async () => {
  const early: number[] = [];
  const received: string[] = [];
  await meet(
    {
      onOpen: (socket) => early.push(socket.write('early')),
      onHandshake: (socket) => void socket.write('late'),
    },
    {
      onOpen: (socket) => early.push(socket.write('early')),
      onData: (socket, data) => (received.push(data.toString()), socket.terminate()),
    },
  );
  expect([early, received]).toEqual([[0, 0], ['late']]);
});

test('the chain of the peer is told with its issuers, leaf first', async () => {
  let depth = 0;
  await meet(
    {
      onHandshake(socket) {
        let at = socket.getPeerCertificate(false) as
          { raw?: Buffer; issuerCertificate?: unknown } | undefined;
        for (; at?.raw !== undefined && depth < 8; at = at.issuerCertificate as typeof at) {
          depth++;
          if (at.issuerCertificate === at) break;
        }
        socket.terminate();
      },
    },
    {},
  );
  // The leaf and its intermediate; the root, which nobody sends, is the engine's own.
  expect(depth).toBeGreaterThanOrEqual(2);
});

test('protocols without a common one end the handshake: the socket layer must not offer any then', async () => {
  let code: string | null = null;
  await meet({ alpn: ['h2'], onHandshake: (_socket, _ok, error) => (code = error) }, { alpn: ['istio'] });
  expect(code as string | null).toBe('EPROTO');
});

test('close sends what was written and frees the descriptor though the peer stays', async () => {
  const block = Buffer.alloc(100_000, 'z');
  const before = readdirSync('/proc/self/fd').length;
  let received = 0;
  const all = Promise.withResolvers<AnySocket>();
  await meet(
    {
      onHandshake(socket) {
        expect(socket.write(block)).toBe(block.length);
        socket.close();
      },
    },
    {
      onData(socket, data) {
        received += data.length;
        if (received === block.length) all.resolve(socket);
      },
    },
  );
  const client = await all.promise;
  // The client's own is still open, the server's two (socket and listener) are gone.
  expect(readdirSync('/proc/self/fd').length).toBeLessThanOrEqual(before + 1);
  client.terminate();
});

test('a socket whose peer is gone cannot be upgraded: it throws', async () => {
  const failed = Promise.withResolvers<string>();
  const listener = Bun.listen<unknown>({
    hostname: '127.0.0.1',
    port: 0,
    data: undefined,
    socket: {
      open(socket) {
        socket.terminate();
        try {
          upgrade(socket, contextOf(testAuthority.leaf(), true), {}, new Uint8Array(1), () => {});
          failed.resolve('nothing thrown');
        } catch (error) {
          failed.resolve((error as Error).message);
        }
      },
      data() {},
    },
  });
  await Bun.connect<unknown>({
    hostname: '127.0.0.1',
    port: listener.port,
    data: undefined,
    socket: { data() {} },
  });
  expect(await failed.promise).toContain('established socket');
  listener.stop(true);
});
