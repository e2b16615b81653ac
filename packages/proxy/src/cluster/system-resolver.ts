/**
 * Names by the system's resolver (hosts file, search domains), as every other program here sees them.
 * TTLs are asked for separately, because getaddrinfo does not tell them; without them (a name from the
 * hosts file has none) the refresh rate holds. Loaded when the first name is to be resolved.
 */
import type { DnsAnswer, DnsResolver } from './dns-clusters.ts';

export const systemResolver: DnsResolver = {
  async resolve(name, family, withTtl): Promise<DnsAnswer> {
    const { lookup } = await import('node:dns/promises');
    const found = await lookup(name, {
      all: true,
      family: family === 'V4_ONLY' ? 4 : family === 'V6_ONLY' ? 6 : 0,
    });
    const v4 = found.filter((entry) => entry.family === 4).map((entry) => entry.address);
    const v6 = found.filter((entry) => entry.family === 6).map((entry) => entry.address);
    const addresses = choose(family, v4, v6);
    return { addresses, ttlMs: withTtl ? await ttlOf(name, addresses[0]?.includes(':') === true) : null };
  },
};

/** AUTO prefers IPv6 and falls back to IPv4, as Envoy documents it. */
function choose(family: string, v4: readonly string[], v6: readonly string[]): readonly string[] {
  switch (family) {
    case 'V4_ONLY':
      return v4;
    case 'V6_ONLY':
      return v6;
    case 'V4_PREFERRED':
      return v4.length > 0 ? v4 : v6;
    case 'ALL':
      return [...v4, ...v6];
    default:
      return v6.length > 0 ? v6 : v4;
  }
}

async function ttlOf(name: string, isV6: boolean): Promise<number | null> {
  const { resolve4, resolve6 } = await import('node:dns/promises');
  try {
    const records = isV6 ? await resolve6(name, { ttl: true }) : await resolve4(name, { ttl: true });
    return records.length === 0 ? null : Math.min(...records.map((record) => record.ttl)) * 1_000;
  } catch {
    // The name is known to the system and not to DNS: there is no TTL to respect.
    return null;
  }
}
