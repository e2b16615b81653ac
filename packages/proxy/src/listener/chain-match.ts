/**
 * Chooses a filter chain as Envoy does: by destination port, destination address, server name,
 * transport protocol, application protocol, direct source address, source type, source address and
 * source port, in this order. At each step the most specific criterion that is configured is taken and
 * there is no way back: when no chain fits below it, the default chain serves.
 *
 * A tree of maps, one level per criterion; `''` is the key of chains that do not care.
 */
import type { FilterChainMatch } from '@sluice/xds';
import type { ProblemScope } from '../config/problems.ts';
import type { ConnectionFacts } from './connection-facts.ts';
import { compilePrefix, isLoopback, parseIp, prefixContains, type IpPrefix } from './ip-prefix.ts';

type Node<T> = { readonly children: Map<string, Node<T>>; readonly prefixes: IpPrefix[]; chain: T | null };

interface Keys {
  readonly keys: readonly string[];
  readonly prefixes: readonly IpPrefix[];
}

interface Level {
  keysOf(match: FilterChainMatch, scope: ProblemScope): Keys;
  /** The child that a connection descends to, or undefined. */
  descend<T>(node: Node<T>, facts: ConnectionFacts): Node<T> | undefined;
}

const anyKey = '';

const levels: readonly Level[] = [
  exactLevel(
    (match) => (match.destinationPort === undefined ? [] : [String(match.destinationPort)]),
    (facts) => [String(facts.destinationPort)],
  ),
  prefixLevel(
    (match) => match.prefixRanges,
    'prefix_ranges',
    (facts) => facts.destinationAddress,
  ),
  exactLevel(
    (match, scope) => match.serverNames.map((name, i) => serverNameKey(name, scope.at('server_names', i))),
    (facts) => serverNameCandidates(facts.serverName),
  ),
  exactLevel(
    (match) => (match.transportProtocol === '' ? [] : [match.transportProtocol]),
    (facts) => [facts.transportProtocol],
  ),
  exactLevel(
    (match) => match.applicationProtocols,
    (facts) => facts.applicationProtocols,
  ),
  prefixLevel(
    (match) => match.directSourcePrefixRanges,
    'direct_source_prefix_ranges',
    (facts) => facts.proxied?.directRemoteAddress ?? facts.remoteAddress,
  ),
  exactLevel(
    (match) => (match.sourceType === 'ANY' ? [] : [match.sourceType]),
    (facts) => [sourceType(facts)],
  ),
  prefixLevel(
    (match) => match.sourcePrefixRanges,
    'source_prefix_ranges',
    (facts) => facts.remoteAddress,
  ),
  exactLevel(
    (match) => match.sourcePorts.map(String),
    (facts) => [String(facts.remotePort)],
  ),
];

export class ChainMatcher<T> {
  readonly #root: Node<T> = newNode();

  /** Two chains that match exactly the same are an error, as in Envoy. */
  add(match: FilterChainMatch | undefined, chain: T, scope: ProblemScope): void {
    let nodes: Node<T>[] = [this.#root];
    for (const level of levels) {
      const wanted = match === undefined ? noKeys : level.keysOf(match, scope);
      nodes = nodes.flatMap((node) => grow(node, wanted));
    }
    for (const leaf of nodes) {
      if (leaf.chain !== null) {
        scope.error('matches exactly the same connections as a chain before it');
        return;
      }
      leaf.chain = chain;
    }
  }

  find(facts: ConnectionFacts): T | null {
    let node: Node<T> | undefined = this.#root;
    for (const level of levels) {
      node = level.descend(node, facts);
      if (node === undefined) return null;
    }
    return node.chain;
  }
}

const noKeys: Keys = { keys: [anyKey], prefixes: [] };

function exactLevel(
  wanted: (match: FilterChainMatch, scope: ProblemScope) => readonly string[],
  found: (facts: ConnectionFacts) => readonly string[],
): Level {
  return {
    keysOf: (match, scope) => {
      const keys = wanted(match, scope.at('filter_chain_match'));
      return keys.length === 0 ? noKeys : { keys, prefixes: [] };
    },
    descend: (node, facts) => {
      // Most listeners do not use most criteria.
      if (node.children.size === 1) {
        const only = node.children.get(anyKey);
        if (only !== undefined) return only;
      }
      for (const key of found(facts)) {
        const child = key === anyKey ? undefined : node.children.get(key);
        if (child !== undefined) return child;
      }
      return node.children.get(anyKey);
    },
  };
}

function prefixLevel(
  wanted: (match: FilterChainMatch) => FilterChainMatch['prefixRanges'],
  field: string,
  found: (facts: ConnectionFacts) => string,
): Level {
  return {
    keysOf: (match, scope) => {
      const ranges = wanted(match);
      if (ranges.length === 0) return noKeys;
      const prefixes = ranges.map((range, i) =>
        compilePrefix(range, scope.at('filter_chain_match').at(field, i)),
      );
      const good = prefixes.filter((prefix) => prefix !== null);
      return { keys: good.map((prefix) => prefix.key), prefixes: good };
    },
    descend: (node, facts) => {
      const address = node.prefixes.length === 0 ? null : parseIp(found(facts));
      const best =
        address === null ? undefined : node.prefixes.find((prefix) => prefixContains(prefix, address));
      return node.children.get(best?.key ?? anyKey);
    },
  };
}

function grow<T>(node: Node<T>, { keys, prefixes }: Keys): Node<T>[] {
  for (const prefix of prefixes) {
    if (!node.prefixes.some((known) => known.key === prefix.key)) node.prefixes.push(prefix);
  }
  node.prefixes.sort((a, b) => b.length - a.length);
  return [...new Set(keys)].map((key) => {
    let child = node.children.get(key);
    if (child === undefined) node.children.set(key, (child = newNode()));
    return child;
  });
}

function newNode<T>(): Node<T> {
  return { children: new Map(), prefixes: [], chain: null };
}

/** `*.example.com` is filed as `.example.com`. */
function serverNameKey(name: string, scope: ProblemScope): string {
  const lower = name.toLowerCase();
  const plain = lower.startsWith('*.') ? lower.slice(1) : lower;
  if (plain.includes('*')) scope.error('a wildcard stands for the first label, as in *.example.com');
  return plain;
}

/** The name, then its wildcards from the longest: `a.b.c` → `a.b.c`, `.b.c`, `.c`. */
function serverNameCandidates(name: string): string[] {
  if (name === '') return [];
  const lower = name.toLowerCase();
  const candidates = [lower];
  for (let dot = lower.indexOf('.', 1); dot >= 0; dot = lower.indexOf('.', dot + 1))
    candidates.push(lower.slice(dot));
  return candidates;
}

/** As Envoy judges: by the restored destination, which is what the client dialled. */
function sourceType(facts: ConnectionFacts): string {
  const isLocal = facts.remoteAddress === facts.destinationAddress || isLoopback(facts.remoteAddress);
  return isLocal ? 'SAME_IP_OR_LOOPBACK' : 'EXTERNAL';
}
