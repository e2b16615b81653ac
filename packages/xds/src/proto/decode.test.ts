/** Decoding: what is reported, what is refused, and that hostile bytes end in nothing but XdsDecodeError. */
import { describe, expect, test } from 'bun:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import * as es from '../es.ts';
import {
  ClusterTable,
  FilterChainTable,
  ListenerTable,
  MetadataTable,
  RouteConfigurationTable,
  TcpProxyTable,
} from '../gen/tables.ts';
import { unpackAny } from './any.ts';
import { decodeMessage, defaultDecodeLimits } from './decode.ts';
import { encodeMessage } from './encode.ts';
import { XdsDecodeError } from './error.ts';
import { describeUnhonoured, UnhonouredReport } from './report.ts';

function failure(run: () => unknown): XdsDecodeError {
  try {
    run();
  } catch (error) {
    if (error instanceof XdsDecodeError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('fields that are set and not honoured', () => {
  test('are reported by their path, through lists and typed configuration', () => {
    const tcp = create(es.tcpProxy.TcpProxySchema, {
      statPrefix: 'x',
      clusterSpecifier: { case: 'cluster', value: 'c' },
      tunnelingConfig: { hostname: 'h', propagateResponseHeaders: true },
    });
    const listener = create(es.listener.ListenerSchema, {
      name: 'l',
      enableMptcp: true,
      filterChains: [
        {},
        {
          filters: [
            { name: 'a' },
            {
              name: 'tcp',
              configType: { case: 'typedConfig', value: anyPack(es.tcpProxy.TcpProxySchema, tcp) },
            },
          ],
          filterChainMatch: { addressSuffix: 's' },
        },
      ],
    });
    const report = new UnhonouredReport();
    const decoded = decodeMessage(ListenerTable, toBinary(es.listener.ListenerSchema, listener), report);
    expect(report.entries.map((entry) => entry.path)).toEqual([
      'filter_chains[1].filter_chain_match.address_suffix',
      'filter_chains[1].filters[1].typed_config.tunneling_config.propagate_response_headers',
      'enable_mptcp',
    ]);
    expect(unpackAny(decoded.filterChains[1]?.filters[1]?.typedConfig, TcpProxyTable)?.cluster).toBe('c');
  });

  test('are reported when only the number is known, and when an Any has an unknown type', () => {
    const unknownNumber = new Uint8Array([...varint((999 << 3) | 0), 1]);
    const route = create(es.route.RouteConfigurationSchema, {
      name: 'r',
      typedPerFilterConfig: {
        'some.filter': { typeUrl: 'type.googleapis.com/acme.Thing', value: new Uint8Array([1]) },
      },
    });
    const bytes = new Uint8Array([...toBinary(es.route.RouteConfigurationSchema, route), ...unknownNumber]);
    const report = new UnhonouredReport();
    const decoded = decodeMessage(RouteConfigurationTable, bytes, report);
    expect(report.entries.map(describeUnhonoured)).toEqual([
      'typed_per_filter_config["some.filter"]: type acme.Thing is not supported',
      '<field 999>: envoy.config.route.v3.RouteConfiguration has no field 999 known here',
    ]);
    expect(decoded.typedPerFilterConfig['some.filter']?.value).toEqual(new Uint8Array([1]));
  });

  test('an unknown value of an enum is reported and leaves the default', () => {
    const report = new UnhonouredReport();
    const decoded = decodeMessage(ClusterTable, new Uint8Array([(6 << 3) | 0, 77]), report);
    expect(decoded.lbPolicy).toBe('ROUND_ROBIN');
    expect(report.entries).toEqual([
      {
        path: 'lb_policy',
        reason: 'unknown-enum-value',
        messageType: 'envoy.config.cluster.v3.Cluster',
        detail: '77',
      },
    ]);
  });

  test('a hostile message cannot make the report large', () => {
    const report = new UnhonouredReport();
    decodeMessage(
      ClusterTable,
      new Uint8Array(20_000).map((_, index) => (index % 2 === 0 ? 0x78 : 0)),
      report,
    );
    expect(report.entries.length).toBeLessThanOrEqual(1000);
  });
});

describe('occurrences that repeat', () => {
  test('messages merge, scalars take the last, and a oneof keeps its last member', () => {
    const first = encodeMessage(RouteConfigurationTable, { name: 'a', vhds: { configSource: { ads: {} } } });
    const second = encodeMessage(RouteConfigurationTable, {
      name: 'b',
      vhds: { configSource: { self: {} } },
    });
    const decoded = decodeMessage(RouteConfigurationTable, new Uint8Array([...first, ...second]));
    expect(decoded.name).toBe('b');
    expect(Object.keys(decoded.vhds?.configSource ?? {})).toContain('self');
    expect(Object.keys(decoded.vhds?.configSource ?? {})).not.toContain('ads');
  });
});

describe('hostile and broken bytes', () => {
  test('every cut of a message ends in a message or an XdsDecodeError', () => {
    const whole = encodeMessage(FilterChainTable, {
      name: 'x'.repeat(150),
      filterChainMatch: { serverNames: ['a', 'b'] },
    });
    for (let cut = 0; cut < whole.length; cut++) {
      try {
        decodeMessage(FilterChainTable, whole.subarray(0, cut));
      } catch (error) {
        expect(error).toBeInstanceOf(XdsDecodeError);
      }
    }
  });

  test('the error names the place', () => {
    const error = failure(() =>
      decodeMessage(ListenerTable, new Uint8Array([(3 << 3) | 2, 4, (7 << 3) | 2, 100, 0, 0])),
    );
    expect(error).toMatchObject({ code: 'truncated', path: 'filter_chains[0].name' });
  });

  test('text that is not UTF-8, varints without end, wrong wire types, groups and field 0 are refused', () => {
    const name = (2 << 3) | 2; // Listener.address is 2; Cluster.transport_socket_matches is 43.
    expect(failure(() => decodeMessage(ListenerTable, new Uint8Array([(1 << 3) | 2, 1, 0xff]))).code).toBe(
      'malformed',
    );
    expect(failure(() => decodeMessage(ListenerTable, new Uint8Array(12).fill(0xff))).code).toBe('malformed');
    expect(failure(() => decodeMessage(ListenerTable, new Uint8Array([(1 << 3) | 0, 1]))).code).toBe(
      'malformed',
    );
    expect(
      failure(() => decodeMessage(ListenerTable, new Uint8Array([((90 << 3) & 0xff) | 0x80 | 3, 5]))).code,
    ).toBe('malformed');
    expect(failure(() => decodeMessage(ListenerTable, new Uint8Array([0, 0]))).code).toBe('malformed');
    expect(
      failure(() => decodeMessage(ListenerTable, new Uint8Array([name, 0xff, 0xff, 0xff, 0xff, 0x7f]))).code,
    ).toBe('truncated');
  });

  test('nesting, size and number of messages are bounded', () => {
    let nested = new Uint8Array(0);
    for (let depth = 0; depth < 400; depth++) nested = lengthDelimited(6, lengthDelimited(1, nested));
    const struct = lengthDelimited(1, lengthDelimited(2, nested));
    const entry = [...lengthDelimited(1, new Uint8Array([97])), ...lengthDelimited(2, struct)];
    const metadata = lengthDelimited(1, new Uint8Array(entry));
    expect(failure(() => decodeMessage(MetadataTable, metadata)).code).toBe('too-deep');

    const limits = { ...defaultDecodeLimits, maxMessages: 10, maxBytes: 1000 };
    const many = new Uint8Array(100).map((_, index) => (index % 2 === 0 ? (3 << 3) | 2 : 0));
    expect(failure(() => decodeMessage(ListenerTable, many, undefined, limits)).code).toBe('too-large');
    expect(failure(() => decodeMessage(ListenerTable, new Uint8Array(2000), undefined, limits)).code).toBe(
      'too-large',
    );
  });

  test('keys such as __proto__ are keys like any other', () => {
    const bytes = encodeMessage(MetadataTable, {
      filterMetadata: Object.fromEntries([['__proto__', { polluted: true }]]),
    });
    const { filterMetadata } = decodeMessage(MetadataTable, bytes);
    expect(Object.keys(filterMetadata)).toEqual(['__proto__']);
    expect('constructor' in filterMetadata).toBe(false);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });
});

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)];
}

function lengthDelimited(number: number, content: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array([(number << 3) | 2, ...varint(content.length), ...content]);
}
