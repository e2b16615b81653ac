/** What the control plane is asked for, and when, over a scripted stream. */
import { describe, expect, test } from 'bun:test';
import { createLogger, FakeClock, TimerWheel } from '@sluice/runtime';
import type { GrpcStreamSink } from '@sluice/wire';
import {
  BootstrapTable,
  ClusterTable,
  decodeMessage,
  DiscoveryRequestTable,
  DiscoveryResponseTable,
  encodeAny,
  encodeMessage,
  parseJsonMessage,
  xdsTypes,
} from '@sluice/xds';
import { AdsConfiguration, type AdsConfigurationDeps } from './ads-configuration.ts';

const bootstrap = parseJsonMessage(BootstrapTable, {
  dynamicResources: {
    adsConfig: { apiType: 'GRPC', grpcServices: [{ envoyGrpc: { clusterName: 'xds' } }] },
    cdsConfig: { ads: {} },
    ldsConfig: { ads: {} },
  },
} as never);

function open() {
  const clock = new FakeClock();
  const timers = new TimerWheel(clock);
  clock.attach(timers);
  const requests: string[] = [];
  const applied: number[] = [];
  const sinks: GrpcStreamSink[] = [];
  const link = {
    isReady: false,
    messages: [],
    retire() {},
    open(_method: string, _metadata: unknown, given: GrpcStreamSink) {
      sinks.push(given);
      return {
        send: (bytes: Uint8Array) => {
          const { typeUrl } = decodeMessage(DiscoveryRequestTable, bytes);
          requests.push(typeUrl.split('.').at(-1) ?? '');
        },
        cancel() {},
      };
    },
  };
  const none: ReadonlySet<string> = new Set();
  const parts = { breaks: false, warming: ['a'] as string[] };
  const clusters = {
    revision: 0,
    get warmingNames() {
      return parts.warming;
    },
    messages: () => [],
    wantedEndpoints: () => none,
    forgetUnwanted() {},
    put() {
      if (parts.breaks) throw new TypeError('a bug');
      return null;
    },
    remove() {},
  };
  const listeners = { revision: 0, messages: () => [], wantedTables: () => none, wantedHosts: () => none };
  const secrets = { follow: () => none, forgetUnwanted() {} };
  const configuration: AdsConfiguration = new AdsConfiguration({
    bootstrap,
    node: {},
    link,
    activations: { clusters, listeners, secrets },
    timers,
    logger: createLogger({ component: 'xds', write() {} }),
    observer: { connected() {}, lost() {}, wants() {}, updated() {} },
    onApplied: (count: number) => {
      applied.push(count);
      configuration.ask();
    },
    onDue: () => configuration.ask(),
    onRefused() {},
  } as unknown as AdsConfigurationDeps);
  const respond = (): void => {
    const resources = [encodeAny(ClusterTable, { name: 'c' })];
    sinks
      .at(-1)
      ?.onMessage(
        encodeMessage(DiscoveryResponseTable, { typeUrl: xdsTypes.cluster, nonce: 'n', resources }),
      );
  };
  return { clock, configuration, link, parts, requests, applied, respond, sinks };
}

describe('the configuration of a control plane', () => {
  test('begins once, when the connection has its certificates', () => {
    const { configuration, link, requests } = open();
    configuration.begin();
    configuration.ask();
    expect([configuration.hasBegun, configuration.isAwaited, requests]).toEqual([false, false, []]);
    link.isReady = true;
    configuration.begin();
    configuration.begin();
    configuration.ask();
    expect([configuration.hasBegun, configuration.isAwaited, requests]).toEqual([true, true, ['Cluster']]);
  });

  test('asks for listeners when the clusters are warm, or have had their time', () => {
    for (const isWarm of [true, false]) {
      const { clock, configuration, link, parts, requests, respond } = open();
      link.isReady = true;
      configuration.begin();
      configuration.ask();
      respond();
      expect(requests.includes('Listener')).toBe(false);
      if (isWarm) {
        parts.warming = [];
        configuration.ask();
      } else clock.advance(15_000);
      expect(requests.includes('Listener')).toBe(true);
    }
  });

  test('goes over to a new certificate at once, also while it waits for its next try', () => {
    const { clock, configuration, link, sinks } = open();
    link.isReady = true;
    configuration.move();
    expect(sinks).toHaveLength(0);
    configuration.begin();
    configuration.ask();
    configuration.move();
    expect(sinks).toHaveLength(2);
    for (let i = 0; i < 5; i++) {
      sinks.at(-1)?.onStatus(7, 'the instance has not the labels that its certificate was given for', []);
      clock.advance(30_000);
    }
    expect(sinks).toHaveLength(7);
    sinks.at(-1)?.onStatus(7, 'likewise', []);
    configuration.move();
    expect(sinks).toHaveLength(8);
    clock.advance(60_000);
    expect(sinks).toHaveLength(8);
  });

  test('goes on after a response that a bug of ours has cut short', () => {
    const { configuration, link, parts, applied, respond } = open();
    link.isReady = true;
    configuration.begin();
    configuration.ask();
    parts.breaks = true;
    expect(respond).toThrow('a bug');
    expect(configuration.isApplying).toBe(false);
    parts.breaks = false;
    respond();
    expect(applied).toEqual([1]);
    expect(configuration.hasReceived(xdsTypes.cluster)).toBe(true);
  });
});
