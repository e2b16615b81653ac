/**
 * envoy.filters.listener.proxy_protocol: takes the header off the front of a connection and believes it.
 * Only listeners that are configured so do: whoever reaches such a port may claim any address.
 *
 * The claimed source becomes the connection's remote address, the claimed destination its original one;
 * the socket's own stay in `facts.proxied`. LOCAL, UNKNOWN and Unix paths leave the addresses alone.
 */
import type { ProxyProtocol } from '@sluice/xds';
import {
  DEFAULT_MAX_PROXY_HEADER_BYTES,
  readProxyHeader,
  type ProxyHeader,
  type ProxyTlv,
} from '@sluice/wire';
import type { ProblemScope } from '../config/problems.ts';
import type { ListenerFilter, ListenerFilterBinding, ListenerFilterStats } from '../filter/filter.ts';
import type { ConnectionFacts } from './connection-facts.ts';

const filterName = 'envoy.filters.listener.proxy_protocol';

interface Settings {
  readonly allowsAbsent: boolean;
  readonly disallowed: ReadonlySet<1 | 2>;
  readonly rules: readonly { readonly type: number; readonly namespace: string; readonly key: string }[];
  keepsTlv(type: number): boolean;
}

export function compileProxyProtocol(message: ProxyProtocol, scope: ProblemScope): ListenerFilterBinding {
  const rules = message.rules.flatMap((rule, i) => {
    const at = scope.at('rules', i);
    if (rule.tlvType > 255) at.at('tlv_type').error('must be below 256');
    const present = rule.onTlvPresent;
    if (present === undefined) return [];
    if (present.key === '') at.at('on_tlv_present').at('key').error('must not be empty');
    return [{ type: rule.tlvType, namespace: present.metadataNamespace || filterName, key: present.key }];
  });
  const passing = message.passThroughTlvs;
  const types = new Set(passing?.tlvType ?? []);
  const settings: Settings = {
    allowsAbsent: message.allowRequestsWithoutProxyProtocol,
    disallowed: new Set(message.disallowedVersions.map((version) => (version === 'V2' ? 2 : 1))),
    rules,
    keepsTlv: (type) => passing !== undefined && (passing.matchType === 'INCLUDE_ALL' || types.has(type)),
  };
  if (message.statPrefix !== '')
    scope.unhonoured('stat_prefix', 'headers are counted by the address of their listener');
  return {
    name: filterName,
    maxPeekBytes: DEFAULT_MAX_PROXY_HEADER_BYTES,
    needsBytes: true,
    create: (stats) => new ProxyHeaderFilter(settings, stats),
  };
}

class ProxyHeaderFilter implements ListenerFilter {
  consumedBytes = 0;
  readonly #settings: Settings;
  readonly #stats: ListenerFilterStats;

  constructor(settings: Settings, stats: ListenerFilterStats) {
    this.#settings = settings;
    this.#stats = stats;
  }

  onPeek(facts: ConnectionFacts, bytes: Uint8Array, isEnd: boolean): 'continue' | 'needMore' | 'close' {
    const read = readProxyHeader(bytes);
    switch (read.kind) {
      case 'needMore':
        if (!isEnd) return 'needMore';
        return bytes.length === 0 ? this.#absent() : this.#refuse('invalid');
      case 'absent':
        return this.#absent();
      case 'invalid':
        return this.#settings.disallowed.has(read.version) ? this.#disallowed() : this.#refuse('invalid');
      case 'header': {
        const { header } = read;
        if (this.#settings.disallowed.has(header.version)) return this.#disallowed();
        if (header.transport === 'DGRAM') return this.#refuse('invalid');
        this.consumedBytes = read.byteLength;
        this.#stats.proxyHeader(header.version === 1 ? 'v1' : 'v2');
        believe(header, facts, this.#settings);
        return 'continue';
      }
    }
  }

  isUnderWay(bytes: Uint8Array): boolean {
    return bytes.length > 0 && readProxyHeader(bytes).kind === 'needMore';
  }

  #absent(): 'continue' | 'close' {
    if (!this.#settings.allowsAbsent) return this.#refuse('missing');
    this.#stats.proxyHeader('absent');
    return 'continue';
  }

  /** As Envoy: where headers may be absent, one of a version that is not taken is data like any other. */
  #disallowed(): 'continue' | 'close' {
    this.#stats.proxyHeader('disallowed');
    return this.#settings.allowsAbsent ? 'continue' : 'close';
  }

  #refuse(outcome: 'missing' | 'invalid'): 'close' {
    this.#stats.proxyHeader(outcome);
    return 'close';
  }
}

function believe(header: ProxyHeader, facts: ConnectionFacts, settings: Settings): void {
  if (header.command === 'LOCAL') return;
  const { source, destination } = header;
  const isIp = header.family === 'INET' || header.family === 'INET6';
  facts.proxied = {
    directRemoteAddress: facts.remoteAddress,
    directRemotePort: facts.remotePort,
    tlvs: header.tlvs.filter(({ type }) => settings.keepsTlv(type)),
    metadata: metadataOf(header.tlvs, settings),
  };
  if (!isIp || source === null || destination === null) return;
  facts.remoteAddress = source.address;
  facts.remotePort = source.port;
  if (destination.address === facts.destinationAddress && destination.port === facts.destinationPort) return;
  facts.destinationAddress = destination.address;
  facts.destinationPort = destination.port;
  facts.isDestinationRestored = true;
}

const none: ReadonlyMap<string, ReadonlyMap<string, string>> = new Map();

/** Values as UTF-8 text, what is no text replaced; the last of a type counts. */
function metadataOf(
  tlvs: readonly ProxyTlv[],
  settings: Settings,
): ReadonlyMap<string, ReadonlyMap<string, string>> {
  if (settings.rules.length === 0 || tlvs.length === 0) return none;
  const metadata = new Map<string, Map<string, string>>();
  for (const { type, value } of tlvs) {
    for (const rule of settings.rules) {
      if (rule.type !== type) continue;
      let namespace = metadata.get(rule.namespace);
      if (namespace === undefined) metadata.set(rule.namespace, (namespace = new Map()));
      namespace.set(rule.key, Buffer.from(value).toString('utf8'));
    }
  }
  return metadata;
}
