import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { crc32c } from './crc32c.ts';
import { PP2, type ProxyHeader } from './proxy-header.ts';
import { readProxyHeader } from './read-proxy-header.ts';
import { readProxySsl } from './ssl-info.ts';
import { writeProxyV1, writeProxyV2 } from './write-proxy-header.ts';

const bytesOf = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));
const read = (text: string) => readProxyHeader(bytesOf(text));
function header(bytes: Uint8Array): ProxyHeader {
  const result = readProxyHeader(bytes);
  if (result.kind !== 'header') throw new Error(JSON.stringify(result));
  expect(result.byteLength).toBe(bytes.length);
  return result.header;
}
const client = { address: '192.0.2.7', port: 51_000 };
const server = { address: '198.51.100.1', port: 443 };

describe('version 1', () => {
  test('TCP4 and TCP6 name both ends', () => {
    expect(header(bytesOf('PROXY TCP4 192.0.2.7 198.51.100.1 51000 443\r\n'))).toMatchObject({
      version: 1,
      command: 'PROXY',
      family: 'INET',
      source: client,
      destination: server,
    });
    expect(header(bytesOf('PROXY TCP6 2001:DB8:0:0::7 ::1 1 65535\r\n'))).toMatchObject({
      family: 'INET6',
      source: { address: '2001:db8::7', port: 1 },
      destination: { address: '::1', port: 65_535 },
    });
  });

  test('UNKNOWN ignores the rest of its line', () => {
    expect(header(bytesOf('PROXY UNKNOWN\r\n'))).toMatchObject({ family: 'UNSPEC', source: null });
    expect(header(bytesOf('PROXY UNKNOWN ffff::1 what ever\r\n'))).toMatchObject({ source: null });
  });

  test('what has a second spelling, or none, is invalid', () => {
    for (const line of [
      'PROXY TCP4 192.0.2.07 198.51.100.1 51000 443\r\n',
      'PROXY TCP4 192.0.2.7 198.51.100.1 051000 443\r\n',
      'PROXY TCP4 192.0.2.7 198.51.100.1 65536 443\r\n',
      'PROXY TCP4  192.0.2.7 198.51.100.1 51000 443\r\n',
      'PROXY TCP4 192.0.2.7 198.51.100.1 51000 443 \r\n',
      'PROXY TCP4 2001:db8::1 198.51.100.1 51000 443\r\n',
      'PROXY TCP6 1:2:3:4:5:6:7:8:9 ::1 1 2\r\n',
      'PROXY TCP6 1::2::3 ::1 1 2\r\n',
      'PROXY UDP4 192.0.2.7 198.51.100.1 1 2\r\n',
      'PROXY TCP4 192.0.2.7 198.51.100.1 51000 443\n',
      `PROXY UNKNOWN ${'x'.repeat(120)}\r\n`,
      `PROXY TCP4 ${'1'.repeat(101)}`,
    ])
      expect([line, read(line).kind]).toEqual([line, 'invalid']);
  });
});

describe('version 2', () => {
  test('addresses, values and checksum read back', () => {
    const tlvs = [
      { type: PP2.alpn, value: bytesOf('h2') },
      { type: PP2.authority, value: bytesOf('www.example.com') },
      { type: PP2.uniqueId, value: new Uint8Array(128).fill(7) },
      { type: 0xea, value: new Uint8Array(0) },
    ];
    for (const withChecksum of [false, true]) {
      expect(header(writeProxyV2(client, server, { tlvs, withChecksum }))).toEqual({
        version: 2,
        command: 'PROXY',
        family: 'INET',
        transport: 'STREAM',
        source: client,
        destination: server,
        tlvs,
      });
    }
  });

  test('LOCAL keeps the connection its own, whatever follows', () => {
    const bytes = writeProxyV2(client, server, { tlvs: [{ type: PP2.alpn, value: bytesOf('h2') }] });
    bytes[12] = 0x20;
    expect(header(bytes)).toMatchObject({ command: 'LOCAL', source: null, tlvs: [] });
    expect(header(writeProxyV2(null, null))).toMatchObject({ command: 'LOCAL' });
  });

  test('Unix paths, abstract ones too', () => {
    const bytes = new Uint8Array(16 + 216);
    bytes.set(writeProxyV2(client, server).subarray(0, 12));
    bytes.set([0x21, 0x31, 0, 216], 12);
    bytes.set(bytesOf('/run/a.sock'), 16);
    bytes.set(bytesOf('\0name'), 16 + 108);
    expect(header(bytes)).toMatchObject({
      family: 'UNIX',
      source: { address: '/run/a.sock', port: 0 },
      destination: { address: '@name', port: 0 },
    });
  });

  test('a wrong checksum, an overrun, an unknown command or family are invalid', () => {
    const good = writeProxyV2(client, server, {
      tlvs: [{ type: PP2.authority, value: bytesOf('a') }],
      withChecksum: true,
    });
    const broken = (change: (bytes: Uint8Array) => void): string => {
      const bytes = good.slice();
      change(bytes);
      const result = readProxyHeader(bytes);
      return result.kind === 'invalid' ? result.reason : result.kind;
    };
    expect(broken((bytes) => (bytes[17]! ^= 1))).toBe('the checksum is wrong');
    expect(broken((bytes) => (bytes[12] = 0x22))).toBe('version or command is unknown');
    expect(broken((bytes) => (bytes[12] = 0x11))).toBe('version or command is unknown');
    expect(broken((bytes) => (bytes[13] = 0x41))).toBe('the address family is unknown');
    expect(broken((bytes) => (bytes[13] = 0x13))).toBe('the address family is unknown');
    expect(broken((bytes) => (bytes[15] = 11))).toBe('the header is shorter than its addresses');
    expect(broken((bytes) => (bytes[15] = 14))).toBe('a value is cut off');
    expect(broken((bytes) => (bytes[30] = 200))).toBe('a value is longer than the header');
    expect(broken((bytes) => (bytes[14] = 0xff))).toStartWith('the header is longer');
  });

  test('a unique id has at most 128 octets', () => {
    const bytes = writeProxyV2(client, server, {
      tlvs: [{ type: PP2.uniqueId, value: new Uint8Array(129) }],
    });
    expect(readProxyHeader(bytes).kind).toBe('invalid');
  });

  test('what says of the TLS before: version and a verified certificate', () => {
    const value = Uint8Array.of(3, 0, 0, 0, 0, PP2.sslVersion, 0, 7, ...bytesOf('TLSv1.3'));
    const ssl = readProxySsl(header(writeProxyV2(client, server, { tlvs: [{ type: PP2.ssl, value }] })).tlvs);
    expect(ssl).toMatchObject({ isTls: true, hasCertOnConnection: true, isVerified: true });
    expect(Buffer.from(ssl!.tlvs[0]!.value).toString()).toBe('TLSv1.3');
    expect(readProxySsl([{ type: PP2.ssl, value: Uint8Array.of(1, 0) }])).toBeNull();
  });
});

test('the checksum is CRC-32C: RFC 3720 appendix B.4', () => {
  expect(crc32c(new Uint8Array(32), 0, 32)).toBe(0x8a9136aa);
  expect(crc32c(bytesOf('123456789'), 0, 9)).toBe(0xe3069283);
});

test('what is no header is known at once, what begins one is waited for', () => {
  expect(read('GET / HTTP/1.1\r\n').kind).toBe('absent');
  expect(read('PUT').kind).toBe('absent');
  expect(read('\x16\x03\x01').kind).toBe('absent');
  expect(read('\r\n\r\nx').kind).toBe('absent');
  for (const whole of [writeProxyV1(client, server), writeProxyV2(client, server, { withChecksum: true })])
    for (let end = 0; end < whole.length; end++)
      expect(readProxyHeader(whole.subarray(0, end)).kind).toBe('needMore');
});

const ipv4 = fc.ipV4();
const ipv6 = fc.ipV6().filter((text) => !text.includes('%'));
const port = fc.integer({ min: 0, max: 65_535 });
const endpoint = fc.record({ address: fc.oneof(ipv4, ipv6), port });

test('property: any two endpoints read back, in both versions, as the same octets', () => {
  fc.assert(
    fc.property(endpoint, endpoint, (source, destination) => {
      for (const write of [writeProxyV1, writeProxyV2]) {
        const first = header(write(source, destination));
        expect(first.source?.port).toBe(source.port);
        const second = header(write(first.source, first.destination));
        expect([second.source, second.destination]).toEqual([first.source, first.destination]);
      }
    }),
  );
});

test('property: a verdict does not depend on what follows the header', () => {
  const prefix = fc.constantFrom(
    writeProxyV1(client, server),
    writeProxyV2(client, server, { withChecksum: true }),
  );
  fc.assert(
    fc.property(prefix, fc.uint8Array(), (bytes, rest) => {
      const result = readProxyHeader(Uint8Array.from([...bytes, ...rest]));
      expect(result).toMatchObject({ kind: 'header', byteLength: bytes.length });
    }),
  );
});

test('property: no octets throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (bytes, isV2) => {
      const framed = isV2 ? Uint8Array.from([...writeProxyV2(null, null).subarray(0, 12), ...bytes]) : bytes;
      expect(['header', 'needMore', 'absent', 'invalid']).toContain(readProxyHeader(framed).kind);
    }),
  );
});
