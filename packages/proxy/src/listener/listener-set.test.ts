import { describe, expect, test } from 'bun:test';
import { ListenerTable, parseJsonMessage } from '@sluice/xds';
import { contexts } from '../route/route-requests.test-double.ts';
import { NO_CONNECTION } from '../telemetry/request-record.ts';
import type { ConnectionFacts } from './connection-facts.ts';
import { ListenerSet } from './listener-set.ts';

const tcp = (cluster: string): object => ({
  name: 'tcp',
  typed_config: {
    '@type': 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy',
    stat_prefix: 's',
    cluster,
  },
});
const chain = (name: string, cluster: string, match: object = {}): object => ({
  name,
  filter_chain_match: match,
  filters: [tcp(cluster)],
});

function listener(name: string, address: string, port: number, changes: object = {}) {
  return parseJsonMessage(ListenerTable, {
    name,
    address: { socket_address: { address, port_value: port } },
    filter_chains: [chain('one', 'c')],
    ...changes,
  });
}

const facts = (
  destinationAddress: string,
  destinationPort: number,
  isDestinationRestored = true,
): ConnectionFacts => ({
  ...NO_CONNECTION,
  localAddress: '127.0.0.1',
  localPort: 15001,
  remoteAddress: '127.0.0.1',
  remotePort: 5,
  destinationAddress,
  destinationPort,
  isDestinationRestored,
});

function newSet() {
  const retired: string[] = [];
  const set = new ListenerSet(contexts.listeners, {
    chainsRetired: (chains) => void retired.push(...chains.map((each) => each.name)),
  });
  return { set, retired };
}

describe('listeners of a loop', () => {
  test('an update retires only the chains whose content changed', () => {
    const { set, retired } = newSet();
    const chains = (second: string): object => ({
      filter_chains: [
        chain('one', 'c', { destination_port: 80 }),
        chain('two', second, { destination_port: 81 }),
      ],
    });
    set.put(listener('l', '0.0.0.0', 1, chains('d')), '1');
    const kept = set.find('l')?.selectChain(facts('10.0.0.1', 80));
    set.put(listener('l', '0.0.0.0', 1, chains('e')), '2');
    expect(retired).toEqual(['two']);
    expect(set.find('l')?.selectChain(facts('10.0.0.1', 80))).toBe(kept!);
    set.put(listener('l', '0.0.0.0', 1, { ...chains('e'), listener_filters_timeout: '1s' }), '3');
    expect(retired).toEqual(['two']);
    set.remove('l');
    expect(retired).toEqual(['two', 'one', 'two']);
  });

  test('a restored destination leads to its listener: exact address, then wildcard, else the receiver', () => {
    const { set } = newSet();
    const unbound = { bind_to_port: false };
    const outbound = set.put(listener('outbound', '0.0.0.0', 15001, { use_original_dst: true }), '1');
    const exact = set.put(listener('exact', '10.0.0.1', 80, unbound), '1');
    const wildcard = set.put(listener('wildcard', '0.0.0.0', 80, unbound), '1');
    const plain = set.put(listener('plain', '0.0.0.0', 15006), '1');
    expect(outbound.redirect(facts('10.0.0.1', 80))).toBe(exact);
    expect(outbound.redirect(facts('10.0.0.2', 80))).toBe(wildcard);
    expect(outbound.redirect(facts('10.0.0.2', 81))).toBe(outbound);
    expect(outbound.redirect(facts('10.0.0.1', 80, false))).toBe(outbound);
    expect(plain.redirect(facts('10.0.0.1', 80))).toBe(plain);
    set.remove('exact');
    expect(outbound.redirect(facts('10.0.0.1', 80))).toBe(wildcard);
  });

  test('without a matching chain the default one serves, or nobody', () => {
    const { set } = newSet();
    const only = { filter_chains: [chain('one', 'c', { destination_port: 80 })] };
    set.put(listener('l', '0.0.0.0', 1, only), '1');
    expect(set.find('l')?.selectChain(facts('10.0.0.1', 81))).toBeNull();
    set.put(listener('l', '0.0.0.0', 1, { ...only, default_filter_chain: chain('rest', 'd') }), '2');
    expect(set.find('l')?.selectChain(facts('10.0.0.1', 81))?.name).toBe('rest');
  });
});
