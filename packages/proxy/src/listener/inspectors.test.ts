import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { inspect } from './http-inspector.ts';
import { readHello } from '../io/client-hello.ts';

/** A real ClientHello, caught from Bun's own TLS client. */
async function clientHello(servername: string, alpn: string): Promise<Uint8Array> {
  const caught = Promise.withResolvers<Uint8Array>();
  const listener = Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      data(socket, data) {
        caught.resolve(new Uint8Array(data));
        socket.terminate();
      },
    },
  });
  const { connect } = await import('node:tls');
  const client = connect({
    host: '127.0.0.1',
    port: listener.port,
    servername,
    ALPNProtocols: alpn.split(','),
    rejectUnauthorized: false,
  });
  client.on('error', () => undefined);
  const hello = await caught.promise;
  listener.stop(true);
  return hello;
}

describe('the TLS inspector', () => {
  test('reads server name and protocols of a real hello, at every split', async () => {
    const hello = await clientHello('reviews.default.svc', 'h2,http/1.1');
    expect(readHello(hello)).toMatchObject({
      serverName: 'reviews.default.svc',
      protocols: ['h2', 'http/1.1'],
    });
    for (let end = 0; end < hello.length; end++) expect(readHello(hello.subarray(0, end))).toBe('incomplete');
  });

  test('reads a hello that spans records', async () => {
    const hello = await clientHello('a.b', 'h2');
    const body = hello.subarray(5);
    const record = (part: Uint8Array): number[] => [22, 3, 1, part.length >> 8, part.length & 255, ...part];
    const split = new Uint8Array([
      ...record(body.subarray(0, 3)),
      ...record(body.subarray(3, 100)),
      ...record(body.subarray(100)),
    ]);
    expect(readHello(split)).toMatchObject({ serverName: 'a.b', protocols: ['h2'] });
  });

  test('in records of one octet is read like any other, an empty record is none', async () => {
    const hello = await clientHello('a.b', 'h2');
    const message = hello.subarray(5);
    const octets = [...message].flatMap((octet) => [22, 3, 1, 0, 1, octet]);
    expect(readHello(Uint8Array.from(octets))).toMatchObject({ serverName: 'a.b', protocols: ['h2'] });
    expect(readHello(Uint8Array.from(octets.slice(0, -6)))).toBe('incomplete');
    expect(readHello(Uint8Array.from([22, 3, 1, 0, 0, ...octets]))).toBeNull();
  });

  test('other bytes are plaintext, hostile ones never throw', async () => {
    expect(readHello(Buffer.from('GET / HTTP/1.1\r\n'))).toBeNull();
    const hello = await clientHello('a.b', 'h2');
    fc.assert(
      fc.property(fc.nat(hello.length - 1), fc.nat(255), (at, value) => {
        const broken = hello.slice();
        broken[at] = value;
        readHello(broken);
      }),
    );
  });
});

describe('the HTTP inspector', () => {
  test.each([
    ['GET / HTTP/1.1\r\n', 'http/1.1'],
    ['POST /x HTTP/1.0\n', 'http/1.0'],
    ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'h2c'],
    ['PRI * HT', 'unknown'],
    ['GET /', 'unknown'],
    ['', 'unknown'],
    ['SSH-2.0-OpenSSH\r\n', 'other'],
    ['GET / HTTP/3.0\r\n', 'other'],
    ['\x16\x03\x01', 'other'],
    ['*1\r\n$4\r\nPING\r\n', 'other'],
  ])('%j is %s', (text, verdict) => {
    expect(inspect(Buffer.from(text, 'latin1'), false)).toBe(verdict as ReturnType<typeof inspect>);
  });

  test('what ends or grows without a line end is opaque', () => {
    expect(inspect(Buffer.from('GET /'), true)).toBe('other');
    expect(inspect(Buffer.from(`GET /${'a'.repeat(9000)}`), false)).toBe('other');
  });
});
