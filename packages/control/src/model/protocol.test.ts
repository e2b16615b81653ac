import { describe, expect, test } from 'bun:test';
import { isHttp, isHttp2, portProtocol } from './protocol.ts';
import type { PortProtocol } from './service.ts';

describe('a port speaks', () => {
  test.each<[PortProtocol, string]>([
    ['http', 'http'],
    ['http', 'http-api'],
    ['http', 'HTTP-API'],
    ['http', 'ws'],
    ['http2', 'http2-api'],
    ['http2', 'h2c'],
    ['grpc', 'grpc'],
    ['grpc', 'grpc-api'],
    ['grpc-web', 'grpc-web'],
    ['grpc-web', 'grpc-web-api'],
    ['tls', 'https-api'],
    ['tls', 'tls'],
    ['tcp', 'tcp-queue'],
    ['tcp', 'mysql'],
    ['tcp', 'mongo-main'],
    ['tcp', 'redis'],
  ])('%s by its name "%s"', (expected, name) => {
    expect(portProtocol({ number: 8080, name })).toBe(expected);
  });

  test('undeclared where the name is no protocol, or only begins like one', () => {
    for (const name of ['', 'web', 'httpx', 'http_api', '-http', 'api-http', 'grpcweb'])
      expect(portProtocol({ number: 8080, name })).toBe('auto');
    expect(portProtocol({ number: 8080 })).toBe('auto');
  });

  test.each<[PortProtocol, string]>([
    ['grpc', 'grpc'],
    ['http', 'HTTP'],
    ['http2', 'kubernetes.io/h2c'],
    ['http', 'kubernetes.io/ws'],
    ['tls', 'kubernetes.io/wss'],
  ])('%s by appProtocol %s, which is stronger than the name', (expected, appProtocol) => {
    expect(portProtocol({ number: 8080, name: 'tcp-queue', appProtocol })).toBe(expected);
  });

  test('what its name says where appProtocol is none that is known', () => {
    expect(portProtocol({ number: 8080, name: 'grpc', appProtocol: 'example.com/own' })).toBe('grpc');
  });

  test('TCP where servers are known to speak first and nothing is declared', () => {
    for (const number of [25, 53, 3306, 27_017]) {
      expect(portProtocol({ number })).toBe('tcp');
      expect(portProtocol({ number, name: 'main' })).toBe('tcp');
      expect(portProtocol({ number, name: 'http' })).toBe('http');
      expect(portProtocol({ number, appProtocol: 'tls' })).toBe('tls');
    }
  });

  test('UDP whatever else is said', () => {
    expect(portProtocol({ number: 53, name: 'http', appProtocol: 'grpc', transport: 'UDP' })).toBe('udp');
  });
});

test('requests are read of what a proxy can speak', () => {
  const read = (knowsHttp2: boolean): PortProtocol[] =>
    (['http', 'http2', 'grpc', 'grpc-web', 'tls', 'tcp', 'auto', 'udp'] as const).filter((protocol) =>
      isHttp(protocol, knowsHttp2),
    );
  expect(read(true)).toEqual(['http', 'http2', 'grpc', 'grpc-web']);
  expect(read(false)).toEqual(['http', 'grpc-web']);
  expect((['http', 'http2', 'grpc', 'grpc-web'] as const).filter(isHttp2)).toEqual([
    'http2',
    'grpc',
    'grpc-web',
  ]);
});
