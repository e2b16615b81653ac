/** TCP listeners and what clients do to them; each listener is given to Envoy and to our proxy alike. */
import { writeProxyV1, writeProxyV2 } from '@sluice/wire';
import { listenerFilter, type Json } from '../../envoy-config.ts';

export interface TcpCase {
  readonly name: string;
  readonly listener: string;
  readonly send: Uint8Array;
  /** Loopback address that the client binds; default 127.0.0.1. */
  readonly from?: string;
  /** The client waits this long before its FIN: longer than the listener filters' timeout. */
  readonly holdMs?: number;
  /** After the greeting the client waits so long for a close before its FIN. */
  readonly lingerMs?: number;
}

export interface TcpListener {
  readonly name: string;
  readonly chains: (port: number) => readonly Json[];
  readonly more?: Json;
}

/** supported_versions (TLS 1.3 and 1.2), supported_groups, signature_algorithms. */
const helloExtensions = [
  [0, 43, 0, 5, 4, 3, 4, 3, 3],
  [0, 10, 0, 4, 0, 2, 0, 29],
  [0, 13, 0, 6, 0, 4, 4, 3, 8, 4],
].flat();

const ascii = (text: string): Uint8Array => Buffer.from(text, 'latin1');
const concat = (...parts: readonly Uint8Array[]): Uint8Array => Buffer.concat(parts);

/** A chain to the cluster of its name, which says its name first. */
function chain(cluster: string, match: Json = {}): Json {
  return { filter_chain_match: match, cluster };
}
const range = (address: string, length: number): Json => ({ address_prefix: address, prefix_len: length });

export const tcpListeners: readonly TcpListener[] = [
  {
    name: 'sni',
    chains: () => [
      chain('one', { server_names: ['exact.test', 'two.b.test'] }),
      chain('two', { server_names: ['*.b.test'] }),
      chain('three', { server_names: ['*.x.b.test'], transport_protocol: 'tls' }),
      chain('four', { transport_protocol: 'tls', application_protocols: ['h2'] }),
      chain('five', { transport_protocol: 'tls' }),
      chain('six', { transport_protocol: 'raw_buffer' }),
    ],
    more: { listener_filters: [listenerFilter('tls_inspector')] },
  },
  {
    name: 'ports',
    chains: (port) => [chain('one', { destination_port: port }), chain('two')],
  },
  {
    name: 'other-port',
    chains: (port) => [chain('one', { destination_port: port + 1 }), chain('two')],
  },
  {
    name: 'sources',
    chains: () => [
      chain('one', { source_prefix_ranges: [range('127.0.0.9', 32)] }),
      chain('two', { direct_source_prefix_ranges: [range('127.0.0.8', 32)] }),
      chain('three', { source_type: 'SAME_IP_OR_LOOPBACK', source_prefix_ranges: [range('127.0.0.7', 32)] }),
      chain('four', {
        prefix_ranges: [range('127.0.0.0', 8)],
        source_prefix_ranges: [range('127.0.0.6', 32)],
      }),
      chain('five', {
        prefix_ranges: [range('127.0.0.1', 32)],
        source_prefix_ranges: [range('127.0.0.5', 32)],
      }),
    ],
  },
  { name: 'no-chain', chains: () => [chain('one', { server_names: ['never.test'] })] },
  { name: 'refusing', chains: () => [chain('refusing')] },
  { name: 'refusing-twice', chains: () => [{ ...chain('refusing'), tcp: { max_connect_attempts: 2 } }] },
  { name: 'empty', chains: () => [chain('empty')] },
  { name: 'unknown', chains: () => [chain('nobody')] },
  { name: 'full', chains: () => [chain('full')] },
  { name: 'idle', chains: () => [{ ...chain('one'), tcp: { idle_timeout: '0.3s' } }] },
  {
    name: 'aged',
    chains: () => [{ ...chain('one'), tcp: { max_downstream_connection_duration: '0.3s' } }],
  },
  { name: 'plain', chains: () => [chain('one')] },
  {
    name: 'proxied',
    chains: () => [
      chain('one', { source_prefix_ranges: [range('192.0.2.0', 24)] }),
      chain('two', { direct_source_prefix_ranges: [range('127.0.0.9', 32)] }),
      chain('three'),
    ],
    more: { listener_filters: [listenerFilter('proxy_protocol')] },
  },
  {
    name: 'maybe-proxied',
    chains: () => [chain('one', { source_prefix_ranges: [range('192.0.2.0', 24)] }), chain('three')],
    more: {
      listener_filters: [
        listenerFilter('proxy_protocol', {
          allow_requests_without_proxy_protocol: true,
          disallowed_versions: ['V1'],
        }),
      ],
    },
  },
  {
    name: 'to-v1',
    chains: () => [chain('dump-v1')],
    more: { listener_filters: [listenerFilter('proxy_protocol')] },
  },
  {
    name: 'to-v2',
    chains: () => [chain('dump-v2')],
    more: { listener_filters: [listenerFilter('proxy_protocol')] },
  },
  {
    name: 'inspected',
    chains: () => [
      chain('one', { application_protocols: ['http/1.1'] }),
      chain('two', { application_protocols: ['http/1.0'] }),
      chain('three', { application_protocols: ['h2c'] }),
      chain('four'),
    ],
    more: {
      listener_filters: [listenerFilter('http_inspector')],
      listener_filters_timeout: '0.2s',
      continue_on_listener_filters_timeout: true,
    },
  },
  {
    name: 'impatient',
    chains: () => [chain('one')],
    more: { listener_filters: [listenerFilter('http_inspector')], listener_filters_timeout: '0.2s' },
  },
];

const source = { address: '192.0.2.7', port: 51_000 };
const destination = { address: '198.51.100.1', port: 443 };
const six = { address: '2001:db8::7', port: 1 };
const tlvs = [{ type: 2, value: ascii('www.example.com') }];
const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

const on = (listener: string, cases: Record<string, Uint8Array | Partial<TcpCase>>): TcpCase[] =>
  Object.entries(cases).map(([name, what]) =>
    what instanceof Uint8Array
      ? { name, listener, send: what }
      : { name, listener, send: ascii('hello'), ...what },
  );

export const tcpCases: readonly TcpCase[] = [
  ...on('sni', {
    exact: clientHello('exact.test'),
    'another case': clientHello('EXACT.test'),
    'exact before wildcard': clientHello('two.b.test'),
    wildcard: clientHello('a.b.test'),
    'longest wildcard': clientHello('a.x.b.test'),
    'the suffix itself': clientHello('b.test'),
    'several labels': clientHello('a.c.b.test'),
    'no name': clientHello(''),
    'unknown name, h2': clientHello('other.test', ['h2', 'http/1.1']),
    'unknown name, another protocol': clientHello('other.test', ['http/1.1']),
    'a known name and h2': clientHello('exact.test', ['h2']),
    'no TLS': ascii('plain text'),
  }),
  ...on('ports', { 'its own port': {} }),
  ...on('other-port', { 'another port': {} }),
  ...on('sources', {
    source: { from: '127.0.0.9' },
    'direct source before source': { from: '127.0.0.8' },
    'loopback, but another prefix': { from: '127.0.0.7' },
    'destination by wide prefix': { from: '127.0.0.6' },
    'destination by narrow prefix': { from: '127.0.0.5' },
    none: { from: '127.0.0.4' },
  }),
  ...on('no-chain', { any: {} }),
  ...on('refusing', { once: {} }),
  ...on('refusing-twice', { 'two attempts': {} }),
  ...on('empty', { 'no endpoint': {} }),
  ...on('unknown', { 'no cluster': {} }),
  ...on('full', { 'no connection allowed': {} }),
  ...on('idle', { 'nothing moves': { lingerMs: 2_000 } }),
  ...on('aged', { 'too old': { lingerMs: 2_000 } }),
  ...on('plain', { 'half-close': {}, 'nothing sent': ascii('') }),
  ...on('proxied', {
    'version 1': concat(writeProxyV1(source, destination), ascii('x')),
    'version 1, IPv6': concat(writeProxyV1(six, six), ascii('x')),
    'version 1, UNKNOWN': { send: ascii('PROXY UNKNOWN\r\nx'), from: '127.0.0.9' },
    'version 2': concat(writeProxyV2(source, destination), ascii('x')),
    'version 2, values': concat(writeProxyV2(source, destination, { tlvs }), ascii('x')),
    'version 2, IPv6': concat(writeProxyV2(six, six), ascii('x')),
    'version 2, LOCAL': concat(writeProxyV2(null, null), ascii('x')),
    'no header': ascii('hello'),
    'a wrong family': ascii('PROXY TCP5 1.2.3.4 5.6.7.8 1 2\r\nx'),
    'a wrong address': ascii('PROXY TCP4 1.2.3 5.6.7.8 1 2\r\nx'),
    'a wrong port': ascii('PROXY TCP4 1.2.3.4 5.6.7.8 1 66000\r\nx'),
    'no CRLF': ascii(`PROXY TCP4 ${'1'.repeat(200)}`),
    'cut off': ascii('PROXY TCP4 1.2.3.4'),
  }),
  ...on('maybe-proxied', {
    'no header': ascii('hello'),
    'a version that is not taken': concat(writeProxyV1(source, destination), ascii('x')),
    'the other version': concat(writeProxyV2(source, destination), ascii('x')),
  }),
  ...on('to-v1', { 'version 1 onwards': concat(writeProxyV2(source, destination, { tlvs }), ascii('x')) }),
  ...on('to-v2', {
    'version 2 onwards': concat(writeProxyV1(source, destination), ascii('x')),
    'version 2 onwards, IPv6': concat(writeProxyV1(six, six), ascii('x')),
  }),
  ...on('inspected', {
    'HTTP/1.1': ascii('GET / HTTP/1.1\r\nHost: a\r\n\r\n'),
    'HTTP/1.0': ascii('GET / HTTP/1.0\r\n\r\n'),
    'HTTP/2': ascii(preface),
    'an unknown method': ascii('FROB / HTTP/1.1\r\n\r\n'),
    'no HTTP': ascii('\x00\x01\x02\x03 hello'),
    'a line of words': ascii('HELO mail.example.com\r\n'),
    'no version': ascii('GET /\r\n'),
    'half a method, and silence': { send: ascii('GE'), holdMs: 400 },
    'half a preface, and silence': { send: ascii('PRI * HTT'), holdMs: 400 },
    silence: { send: ascii(''), holdMs: 400 },
  }),
  ...on('impatient', {
    silence: { send: ascii(''), holdMs: 600 },
    'half a method': { send: ascii('GE'), holdMs: 600 },
  }),
];

/** RFC 8446 §4.1.2, as small as inspectors accept it. */
export function clientHello(serverName: string, protocols: readonly string[] = []): Uint8Array {
  const uint16 = (n: number): number[] => [n >> 8, n & 0xff];
  const sized = (bytes: readonly number[]): number[] => [...uint16(bytes.length), ...bytes];
  const name = [...ascii(serverName)];
  const alpn = protocols.flatMap((protocol) => [protocol.length, ...ascii(protocol)]);
  const extensions = [
    ...(name.length === 0 ? [] : [0, 0, ...sized(sized([0, ...sized(name)]))]),
    ...(alpn.length === 0 ? [] : [0, 16, ...sized(sized(alpn))]),
    ...helloExtensions,
  ];
  const body = [
    3,
    3,
    ...Array(32).fill(7),
    0,
    ...sized([0x13, 0x01, 0xc0, 0x2f]),
    1,
    0,
    ...sized(extensions),
  ];
  return Uint8Array.from([22, 3, 1, ...sized([1, 0, ...uint16(body.length), ...body])]);
}
