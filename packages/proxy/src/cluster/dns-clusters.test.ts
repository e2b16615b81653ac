import { describe, expect, test } from 'bun:test';
import { createLogger, FakeClock, TimerWheel } from '@sluice/runtime';
import { turns } from '@sluice/testkit';
import { ClusterLoadAssignmentTable, parseJsonMessage, type ClusterLoadAssignment } from '@sluice/xds';
import type { DnsSettings } from './cluster-settings.ts';
import { DnsClusters, type DnsAnswer } from './dns-clusters.ts';

const settings: DnsSettings = {
  refreshMs: 5000,
  failureBaseMs: 1000,
  failureMaxMs: 4000,
  respectTtl: false,
  family: 'AUTO',
};

const assignment = (...hosts: string[]): ClusterLoadAssignment =>
  parseJsonMessage(ClusterLoadAssignmentTable, {
    cluster_name: 'x',
    endpoints: [
      {
        lb_endpoints: hosts.map((address) => ({
          endpoint: { address: { socket_address: { address, port_value: 80 } } },
        })),
      },
    ],
  });

function newDns() {
  const clock = new FakeClock();
  const timers = new TimerWheel(clock);
  clock.attach(timers);
  const answers = new Map<string, DnsAnswer | Error>();
  const asked: string[] = [];
  const published: string[] = [];
  const resolver = {
    resolve: async (name: string): Promise<DnsAnswer> => {
      asked.push(name);
      const answer = answers.get(name) ?? new Error('unknown');
      if (answer instanceof Error) throw answer;
      return answer;
    },
  };
  const logger = createLogger({ component: 'test', write: () => undefined });
  const dns = new DnsClusters({
    resolver,
    timers,
    random: () => 0,
    logger,
    onEndpoints: ({ clusterName, endpoints }) => {
      const addresses = endpoints
        .flatMap((group) => group.lbEndpoints)
        .map(({ endpoint }) => endpoint?.address?.socketAddress?.address);
      published.push(`${clusterName}: ${addresses.join(' ')}`);
    },
  });
  const turn = async (ms = 0): Promise<void> => {
    clock.advance(ms);
    await turns();
  };
  const answer = (name: string, ...addresses: string[]): void =>
    void answers.set(name, { addresses, ttlMs: 30_000 });
  return { dns, answers, answer, asked, published, turn };
}

describe('DNS clusters', () => {
  test('are published when every name has its answer, and again only when one changes', async () => {
    const { dns, answer, published, turn, asked } = newDns();
    answer('a', '10.0.0.2', '10.0.0.1');
    answer('b', '10.0.0.3');
    dns.put('c', assignment('a', '192.0.2.1', 'b'), settings, false);
    await turn();
    expect(published).toEqual(['c: 10.0.0.1 10.0.0.2 192.0.2.1 10.0.0.3']);
    answer('a', '10.0.0.1', '10.0.0.2');
    await turn(5000);
    expect(asked).toEqual(['a', 'b', 'a', 'b']);
    expect(published).toHaveLength(1);
    answer('b', '10.0.0.4');
    await turn(5000);
    expect(published.at(-1)).toBe('c: 10.0.0.1 10.0.0.2 192.0.2.1 10.0.0.4');
  });

  test('a failure keeps the last good answer and is retried with growing pauses', async () => {
    const { dns, answer, answers, published, turn, asked } = newDns();
    answer('a', '10.0.0.1');
    dns.put('c', assignment('a'), settings, false);
    await turn();
    answers.set('a', new Error('SERVFAIL'));
    await turn(5000);
    await turn(1000);
    await turn(2000);
    await turn(4000);
    expect(asked).toHaveLength(5);
    expect(published).toEqual(['c: 10.0.0.1']);
  });

  test('a name that never answers lets the cluster go live without endpoints', async () => {
    const { dns, published, turn } = newDns();
    dns.put('c', assignment('nowhere'), settings, false);
    await turn();
    expect(published).toEqual(['c: ']);
  });

  test('LOGICAL_DNS uses one address; TTLs are respected when asked for; removal ends the questions', async () => {
    const { dns, answer, published, turn, asked } = newDns();
    answer('a', '10.0.0.1', '10.0.0.2');
    dns.put('c', assignment('a'), { ...settings, respectTtl: true }, true);
    await turn();
    expect(published).toEqual(['c: 10.0.0.1']);
    await turn(5000);
    expect(asked).toHaveLength(1);
    await turn(25_000);
    expect(asked).toHaveLength(2);
    dns.remove('c');
    await turn(60_000);
    expect(asked).toHaveLength(2);
  });
});
