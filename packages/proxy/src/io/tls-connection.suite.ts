/** What TLS must do on every implementation of `SocketProvider`, beyond what holds for plain connections too. */
import { describe, expect, test } from 'bun:test';
import { FakeClock, TimerWheel } from '@sluice/runtime';
import { turns } from '@sluice/testkit';
import type { ConnectTarget, Connection, SocketListener } from './connection.ts';
import type { ProviderUnderTest } from './connection.suite.ts';
import { IoLoop } from './io-loop.ts';
import { Recorder } from './test-recorder.ts';
import { credentialOf, testAuthority, testSettings, TestTls } from './test-tls.ts';
import type { TlsFailure, TlsSettings } from './tls-context.ts';

interface Outcome {
  readonly connection: Connection;
  readonly failure: TlsFailure | null;
  readonly wasCountedOut: () => boolean;
}

export function tlsConnectionSuite(name: string, create: (loop: IoLoop) => ProviderUnderTest): void {
  const clock = new FakeClock();
  const wheel = new TimerWheel(clock);
  clock.attach(wheel);
  const loop = new IoLoop(wheel, (error) => {
    throw error;
  });
  const { sockets, ready } = create(loop);

  /** A server that secures each connection; its outcomes come one by one. */
  async function serve(tls: TestTls, timeoutMs = 0) {
    const recorders = [new Recorder()];
    const outcomes: Outcome[] = [];
    let wake = (): void => {};
    const listener = await open((connection) => {
      let isOut = false;
      connection.onceClosed = () => (isOut = true);
      const settle = (failure: TlsFailure | null): void => {
        outcomes.push({ connection, failure, wasCountedOut: () => isOut });
        wake();
      };
      connection.startTls(tls, null, timeoutMs, {
        onSecured(secured) {
          recorders.push(new Recorder());
          secured.handler = recorders.at(-1)!;
          settle(null);
        },
        onTlsFailed: (_connection, failure) => settle(failure),
      });
    });
    const next = async (): Promise<Outcome> => {
      while (outcomes.length === 0) await new Promise<void>((done) => (wake = done));
      return outcomes.shift()!;
    };
    return {
      port: listener.port,
      /** Of the connection secured last; of nothing while there is none. */
      get recorder() {
        return recorders.at(-1)!;
      },
      next,
      stop: () => listener.stop(),
    };
  }

  async function open(onAccept: (connection: Connection) => void): Promise<SocketListener> {
    const bind = { address: '127.0.0.1', port: 0 };
    const listener = sockets.listen({ bind, highWaterBytes: 65_536 }, onAccept);
    await ready(listener);
    return listener;
  }

  function dial(port: number, tls: TestTls | null, more: Partial<ConnectTarget> = {}) {
    const recorder = new Recorder();
    const connection = sockets.connect(
      {
        address: '127.0.0.1',
        port,
        sourceAddress: null,
        keepalive: null,
        connectTimeoutMs: 1000,
        highWaterBytes: 65_536,
        tls,
        ...more,
      },
      recorder,
    );
    return { recorder, connection };
  }

  const send = (connection: Connection, text: string): void =>
    connection.write(Buffer.from(text), 0, text.length);
  const server = (more: Partial<TlsSettings> = {}): TestTls => new TestTls(testSettings('server', more));
  const client = (more: Partial<TlsSettings> = {}, serverName = '', maxSessions = 0): TestTls =>
    new TestTls(testSettings('client', more), serverName, maxSessions);

  describe(`${name} with TLS`, () => {
    test('both sides know version, cipher, ALPN, server name and who the other is', async () => {
      const serving = server({ alpn: ['h2', 'istio'] });
      const calling = client({ alpn: ['istio-peer-exchange', 'istio'] }, 'reviews.default.svc');
      const at = await serve(serving);
      const { recorder, connection } = dial(at.port, calling);
      await recorder.until(() => recorder.isConnected);
      const accepted = (await at.next()).connection;
      expect(accepted.tls).toMatchObject({
        protocol: 'TLSv1.3',
        cipher: 'TLS_AES_128_GCM_SHA256',
        alpn: 'istio',
        serverName: 'reviews.default.svc',
        isPeerVerified: true,
        isResumed: false,
      });
      expect(accepted.tls!.peer!.uriSans).toEqual(['spiffe://cluster.local/ns/default/sa/client']);
      expect(connection.tls!.peer!.uriSans).toEqual(['spiffe://cluster.local/ns/default/sa/server']);
      expect(connection.tls!.local!.uriSans).toEqual(accepted.tls!.peer!.uriSans);
      expect(connection.tls).toMatchObject({ alpn: 'istio', isPeerVerified: true });
      expect(serving.hellos).toEqual([
        {
          serverName: 'reviews.default.svc',
          protocols: ['istio-peer-exchange', 'istio'],
          acceptsEcdsa: true,
        },
      ]);
      connection.terminate();
      at.stop();
    });

    test('without a common ALPN protocol the connection goes on without one', async () => {
      const serving = server({ alpn: ['h2'] });
      const at = await serve(serving);
      const { recorder, connection } = dial(at.port, client({ alpn: ['istio'] }));
      await recorder.until(() => recorder.isConnected);
      expect((await at.next()).connection.tls!.alpn).toBe('');
      // Nor is a name sent where none was asked for: an address would not be one.
      expect(serving.hellos[0]!.serverName).toBe('');
      connection.terminate();
      at.stop();
    });

    const strangers = {
      'a foreign': { credential: credentialOf(testAuthority.foreignLeaf()) },
      'an expired': { credential: credentialOf(testAuthority.expiredLeaf()) },
      'a not yet valid': { credential: credentialOf(testAuthority.notYetValidLeaf()) },
    };
    for (const [kind, stranger] of Object.entries({ ...strangers, no: { credential: null } })) {
      test(`a client with ${kind} certificate is refused before a byte of it reaches anybody`, async () => {
        const at = await serve(server());
        const { recorder, connection } = dial(at.port, client(stranger));
        send(connection, 'secret');
        const { failure, connection: refused, wasCountedOut } = await at.next();
        expect(failure!.kind).toBe(kind === 'no' ? 'no-certificate' : 'untrusted');
        expect(refused.failureDetail).toBe(failure!.reason);
        expect([refused.isOpen, wasCountedOut(), at.recorder.received]).toEqual([false, true, 0]);
        await recorder.until(() => recorder.closeCause !== null || recorder.failure !== null);
        expect(recorder.received).toBe(0);
        at.stop();
      });
    }

    for (const [kind, stranger] of Object.entries(strangers)) {
      test(`a server with ${kind} certificate is refused before a byte is sent to it`, async () => {
        const at = await serve(server(stranger));
        const calling = client();
        const { recorder, connection } = dial(at.port, calling);
        send(connection, 'secret');
        await recorder.until(() => recorder.failure !== null);
        expect(recorder.failure).toBe('tls');
        expect(connection.failureDetail).not.toBe('');
        expect(calling.failures[0]!.kind).toBe('untrusted');
        expect([recorder.isConnected, recorder.closeCause]).toEqual([false, null]);
        const { failure } = await at.next();
        if (failure === null) await at.recorder.until(() => at.recorder.closeCause !== null);
        expect(at.recorder.received).toBe(0);
        at.stop();
      });
    }

    test('the judge has the last word on either side', async () => {
      const refusal: TlsFailure = { kind: 'san', reason: 'not who was asked for' };
      const judging = client();
      judging.verdict = () => refusal;
      const at = await serve(server());
      const { recorder, connection } = dial(at.port, judging);
      await recorder.until(() => recorder.failure !== null);
      expect([recorder.failure, connection.failureDetail]).toEqual(['tls', refusal.reason]);
      at.stop();
      const serving = server();
      serving.verdict = () => refusal;
      const second = await serve(serving);
      dial(second.port, client());
      expect((await second.next()).failure).toEqual(refusal);
      second.stop();
    });

    test('versions and suites that do not meet fail with the reason', async () => {
      const at = await serve(server({ minVersion: 0x0304 }));
      const { recorder, connection } = dial(at.port, client({ maxVersion: 0x0303 }));
      await recorder.until(() => recorder.failure !== null);
      expect(connection.failureDetail).toContain('PROTOCOL_VERSION');
      const { failure } = await at.next();
      expect([failure!.kind, failure!.reason.includes('UNSUPPORTED_PROTOCOL')]).toEqual(['protocol', true]);
      at.stop();
    });

    test('settings that cannot be had refuse the handshake', async () => {
      const missing: TlsFailure = { kind: 'no-credential', reason: 'secret "default" has not arrived' };
      const at = await serve(new TestTls(missing));
      dial(at.port, client());
      expect((await at.next()).failure).toEqual(missing);
      const { recorder, connection } = dial(at.port, new TestTls(missing));
      await recorder.until(() => recorder.failure !== null);
      expect([recorder.failure, connection.failureDetail]).toEqual(['identity-missing', missing.reason]);
      at.stop();
    });

    test('settings of which no context can be made end the connection, too', async () => {
      const at = await serve(server({ ciphers: 'no-such-suite' }));
      const { recorder } = dial(at.port, client());
      const { failure, connection } = await at.next();
      expect([failure!.kind, connection.isOpen]).toEqual(['closed', false]);
      await recorder.until(() => recorder.failure !== null);
      at.stop();
    });

    test('a connection that is closed says so to its peer, which can tell an end from a cut', async () => {
      const at = await serve(server({ maxVersion: 0x0303 }));
      const sent: Uint8Array[] = [];
      const relay = await open((near) => {
        const far = sockets.connect(dialTarget(at.port), new Recorder());
        near.handler = forward(far);
        const back = forward(near);
        far.handler = {
          ...back,
          onData: (from, data) => {
            sent.push(data);
            back.onData(from, data);
          },
          onClose: () => near.close(),
        };
      });
      const { recorder, connection } = dial(relay.port, client({ maxVersion: 0x0303 }));
      await recorder.until(() => recorder.isConnected);
      const accepted = (await at.next()).connection;
      send(connection, 'hi');
      await at.recorder.until(() => at.recorder.text === 'hi');
      send(accepted, 'bye');
      accepted.close();
      await recorder.until(() => recorder.hasEnded);
      connection.close();
      expect([recorder.text, recordTypes(Buffer.concat(sent)).at(-1)]).toEqual(['bye', ALERT]);
      relay.stop();
      at.stop();
    });

    test('plaintext is no hello; a client that goes away or says nothing ends the handshake', async () => {
      const at = await serve(server(), 300);
      const plain = dial(at.port, null);
      send(plain.connection, 'GET / HTTP/1.1\r\n\r\n');
      expect((await at.next()).failure!.kind).toBe('protocol');
      const leaving = dial(at.port, null);
      await leaving.recorder.until(() => leaving.recorder.isConnected);
      leaving.connection.close();
      expect((await at.next()).failure!.kind).toBe('closed');
      const quiet = dial(at.port, null);
      await quiet.recorder.until(() => quiet.recorder.isConnected);
      send(quiet.connection, '\x16\x03\x01');
      // The server's timer is armed at accept, which both ends of a loopback connection see together.
      while (wheel.size === 0) await turns();
      clock.advance(310);
      expect((await at.next()).failure!.kind).toBe('timeout');
      expect(wheel.size).toBe(0);
      at.stop();
    });

    test('a hello in pieces, and one that was read before, are taken over', async () => {
      const at = await serve(server());
      const relay = await open((near) => {
        const far = sockets.connect({ ...dialTarget(at.port) }, new Recorder());
        near.handler = forward(far);
        far.handler = forward(near);
      });
      const { recorder, connection } = dial(relay.port, client());
      await recorder.until(() => recorder.isConnected);
      send(connection, 'through');
      await at.next();
      const far = at.recorder;
      await far.until(() => far.text === 'through');
      connection.terminate();
      relay.stop();
      at.stop();
      const serving = server();
      const inspected = new Recorder();
      const peeking = await open((near) => {
        near.handler = {
          ...forward(near),
          onData: (_near, data) =>
            near.startTls(serving, data, 0, {
              onSecured: (secured) => (secured.handler = inspected),
              onTlsFailed: () => {},
            }),
        };
      });
      const second = dial(peeking.port, client());
      send(second.connection, 'after a peek');
      await inspected.until(() => inspected.text === 'after a peek');
      second.connection.terminate();
      peeking.stop();
    });

    test('a preface goes before the handshake, in plaintext', async () => {
      const serving = server();
      const secured = new Recorder();
      let first = '';
      const listener = await open((near) => {
        near.handler = {
          ...forward(near),
          onData(_near, data) {
            first = Buffer.from(data.subarray(0, 6)).toString();
            near.startTls(serving, data.length > 6 ? data.subarray(6) : null, 0, {
              onSecured: (connection) => (connection.handler = secured),
              onTlsFailed: () => {},
            });
          },
        };
      });
      const { connection } = dial(listener.port, client(), { preface: Buffer.from('PROXY ') });
      send(connection, 'hidden');
      await secured.until(() => secured.text === 'hidden');
      expect(first).toBe('PROXY ');
      connection.terminate();
      listener.stop();
    });

    test('the connect timeout covers the handshake, and an attempt can be cancelled within it', async () => {
      const listener = await open((connection) => {
        connection.handler = new Recorder();
      });
      const calling = client();
      const { recorder, connection } = dial(listener.port, calling);
      const cancelled = dial(listener.port, client());
      while (connection.localPort === 0 || !isSecuring(connection) || !isSecuring(cancelled.connection))
        await turns();
      cancelled.connection.terminate();
      clock.advance(1010);
      await recorder.until(() => recorder.failure !== null);
      expect(recorder.failure).toBe('timeout');
      expect([cancelled.recorder.failure, cancelled.recorder.closeCause]).toEqual([null, null]);
      expect(wheel.size).toBe(0);
      listener.stop();
    });

    for (const version of [0x0303, 0x0304] as const) {
      test(`a session resumes within its credential, judged again (${version.toString(16)})`, async () => {
        const serving = server({ maxVersion: version });
        const calling = client({}, '', 1);
        const at = await serve(serving);
        const greet = async (tls: TestTls): Promise<boolean> => {
          const { recorder, connection } = dial(at.port, tls);
          await recorder.until(() => recorder.isConnected);
          const { connection: accepted } = await at.next();
          // A TLS 1.3 ticket follows the handshake: with the first bytes it has arrived.
          send(accepted, 'welcome');
          await recorder.until(() => recorder.text === 'welcome');
          expect(accepted.tls!.isResumed).toBe(connection.tls!.isResumed);
          expect(accepted.tls!.peer!.uriSans).toEqual(['spiffe://cluster.local/ns/default/sa/client']);
          expect(connection.tls!.peer!.uriSans).toEqual(['spiffe://cluster.local/ns/default/sa/server']);
          connection.terminate();
          return connection.tls!.isResumed;
        };
        expect([await greet(calling), await greet(calling)]).toEqual([false, true]);
        expect(serving.outcomes.map(({ isResumed }) => isResumed)).toEqual([false, true]);
        expect(await greet(client({}, '', 1))).toBe(false);
        serving.verdict = () => ({ kind: 'revoked', reason: 'taken back' });
        const { recorder } = dial(at.port, calling);
        expect((await at.next()).failure!.kind).toBe('revoked');
        await recorder.until(() => recorder.closeCause !== null || recorder.failure !== null);
        at.stop();
      });
    }

    test('a client that was refused is refused again when it comes back with its session', async () => {
      const at = await serve(server());
      const foreign = client(strangers['a foreign'], '', 1);
      for (let i = 0; i < 2; i++) {
        dial(at.port, foreign);
        expect((await at.next()).failure!.kind).toBe('untrusted');
      }
      at.stop();
    });

    test('a judge that breaks ends its connection alone: it is told, and the clock of the loop goes on', async () => {
      const bugs: unknown[] = [];
      const own = new IoLoop(wheel, (error) => bugs.push(error));
      const provider = create(own);
      const broken = server();
      broken.verdict = () => {
        throw new Error('a bug');
      };
      const failures: TlsFailure[] = [];
      const listener = provider.sockets.listen(
        { bind: { address: '127.0.0.1', port: 0 }, highWaterBytes: 65_536 },
        (connection) =>
          connection.startTls(broken, null, 0, {
            onSecured: () => {},
            onTlsFailed: (_connection, failure) => failures.push(failure),
          }),
      );
      await provider.ready(listener);
      const { recorder } = dial(listener.port, client());
      await recorder.until(() => recorder.failure !== null || recorder.closeCause !== null);
      const calling = new Recorder();
      const healthy = await serve(server());
      const judging = client();
      judging.verdict = broken.verdict;
      provider.sockets.connect({ ...dialTarget(healthy.port), tls: judging }, calling);
      await calling.until(() => calling.failure !== null);
      expect([failures.map(({ kind }) => kind), calling.failure]).toEqual([['protocol'], 'tls']);
      expect(bugs.map(String)).toEqual(['Error: a bug', 'Error: a bug']);
      const beforeMs = own.clock.nowMs();
      clock.advance(1000);
      expect(own.clock.nowMs() - beforeMs).toBe(1000);
      healthy.stop();
      listener.stop();
    });

    test('the owner may end a connection while it is being secured', async () => {
      const tls = server();
      const failures: TlsFailure[] = [];
      const ended = Promise.withResolvers<Connection>();
      const listener = await open((connection) => {
        connection.startTls(tls, null, 0, {
          onSecured: () => {},
          onTlsFailed: (_connection, failure) => failures.push(failure),
        });
        connection.terminate();
        ended.resolve(connection);
      });
      const { recorder } = dial(listener.port, client());
      expect((await ended.promise).isOpen).toBe(false);
      expect(failures.map(({ kind }) => kind)).toEqual(['closed']);
      await recorder.until(() => recorder.failure !== null);
      expect(recorder.failure).toBe('tls');
      listener.stop();
    });
  });
}

function dialTarget(port: number): ConnectTarget {
  return {
    address: '127.0.0.1',
    port,
    sourceAddress: null,
    keepalive: null,
    connectTimeoutMs: 0,
    highWaterBytes: 65_536,
    tls: null,
  };
}

/** Sends on what comes, in small pieces. */
function forward(to: Connection) {
  return {
    onData(_from: Connection, data: Uint8Array): void {
      for (let at = 0; at < data.length; at += 97) {
        to.write(data, at, Math.min(at + 97, data.length));
        to.flush();
      }
    },
    onEnd: () => to.end(),
    onDrain() {},
    onClose: () => to.terminate(),
  };
}

/** RFC 5246 §6.2.1. */
const ALERT = 21;

/** Of each record of TLS 1.2. */
function recordTypes(octets: Buffer): number[] {
  const types: number[] = [];
  for (let at = 0; at < octets.length; at += 5 + octets.readUInt16BE(at + 3)) types.push(octets[at]!);
  return types;
}

function isSecuring(connection: Connection): boolean {
  return (connection as unknown as { isHandshaking: boolean }).isHandshaking;
}
