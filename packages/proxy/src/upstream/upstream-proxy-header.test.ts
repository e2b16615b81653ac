import { expect, test } from 'bun:test';
import { PP2, readProxyHeader } from '@sluice/wire';
import { parseJsonMessage, TransportSocketTable } from '@sluice/xds';
import { newProblems } from '../config/problems.ts';
import type { ConnectionFacts } from '../listener/connection-facts.ts';
import { NO_CONNECTION } from '../telemetry/request-record.ts';
import { unwrapProxyTransport } from './upstream-proxy-header.ts';

const types = 'type.googleapis.com/envoy.extensions.transport_sockets';
const raw = { name: 'raw', typed_config: { '@type': `${types}.raw_buffer.v3.RawBuffer` } };

function unwrap(config: object | undefined, inner: object | undefined = raw) {
  const scope = newProblems();
  const socket = parseJsonMessage(TransportSocketTable, {
    name: 'proxy',
    typed_config: {
      '@type': `${types}.proxy_protocol.v3.ProxyProtocolUpstreamTransport`,
      ...(config === undefined ? {} : { config }),
      ...(inner === undefined ? {} : { transport_socket: inner }),
    },
  });
  const unwrapped = unwrapProxyTransport(socket, scope);
  return { ...unwrapped, problems: scope.problems.map(({ path, message }) => `${path}: ${message}`) };
}

const facts: ConnectionFacts = {
  ...NO_CONNECTION,
  localAddress: '127.0.0.1',
  localPort: 15006,
  remoteAddress: '192.0.2.7',
  remotePort: 51_000,
  destinationAddress: '198.51.100.1',
  destinationPort: 443,
  isDestinationRestored: true,
  proxied: {
    directRemoteAddress: '127.0.0.2',
    directRemotePort: 1,
    tlvs: [
      { type: PP2.authority, value: Uint8Array.of(97) },
      { type: 0xea, value: Uint8Array.of(98) },
    ],
    metadata: new Map(),
  },
};

function sent(config: object, downstream: ConnectionFacts | null = facts) {
  const bytes = unwrap(config).proxyHeader!.bytes(downstream);
  const read = readProxyHeader(bytes);
  if (read.kind !== 'header') throw new Error(read.kind);
  return read.header;
}

test('the header names the client and what it dialled', () => {
  for (const [version, number] of [
    ['V1', 1],
    ['V2', 2],
  ] as const)
    expect(sent({ version })).toMatchObject({
      version: number,
      source: { address: '192.0.2.7', port: 51_000 },
      destination: { address: '198.51.100.1', port: 443 },
      tlvs: [],
    });
});

test('a connection of our own says that it is', () => {
  expect(sent({ version: 'V1' }, null)).toMatchObject({ family: 'UNSPEC', source: null });
  expect(sent({ version: 'V2' }, null)).toMatchObject({ command: 'LOCAL' });
});

test('values are passed on as asked', () => {
  const types = (config: object): number[] => sent({ version: 'V2', ...config }).tlvs.map(({ type }) => type);
  expect(types({ pass_through_tlvs: {} })).toEqual([PP2.authority, 0xea]);
  expect(types({ pass_through_tlvs: { match_type: 'INCLUDE', tlv_type: [0xea] } })).toEqual([0xea]);
});

test('the socket behind it is handed on; any other socket comes back as it is', () => {
  expect(unwrap({ version: 'V1' }).inner?.name).toBe('raw');
  const scope = newProblems();
  const plain = parseJsonMessage(TransportSocketTable, raw);
  expect(unwrapProxyTransport(plain, scope)).toEqual({ proxyHeader: null, inner: plain });
  expect(unwrapProxyTransport(undefined, scope)).toEqual({ proxyHeader: null, inner: undefined });
});

test('what is wrong is named', () => {
  expect(unwrap({ version: 'V1', pass_through_tlvs: {} }).problems).toEqual([
    'transport_socket.typed_config.config.pass_through_tlvs: not honoured: version 1 carries no values',
  ]);
  const scope = newProblems();
  const bare = parseJsonMessage(TransportSocketTable, {
    name: 'proxy',
    typed_config: { '@type': `${types}.proxy_protocol.v3.ProxyProtocolUpstreamTransport` },
  });
  unwrapProxyTransport(bare, scope);
  expect(scope.problems).toMatchObject([{ message: 'must be set', severity: 'error' }]);
});
