/**
 * Knows TLS by its ClientHello, and notes server name and ALPN protocols for the choice of a filter chain.
 * Bytes that are not a well-formed hello count as plaintext: whoever terminates TLS refuses them properly.
 */
import type { ListenerFilter, ListenerFilterBinding } from '../filter/filter.ts';
import { maxHelloBytes, readHello } from '../io/client-hello.ts';

const filter: ListenerFilter = {
  onPeek(facts, bytes, isEnd) {
    const hello = readHello(bytes);
    if (hello === 'incomplete' && !isEnd) return 'needMore';
    if (hello === 'incomplete' || hello === null) return 'continue';
    facts.transportProtocol = 'tls';
    facts.serverName = hello.serverName;
    if (hello.protocols.length > 0) facts.applicationProtocols = hello.protocols;
    return 'continue';
  },
  isUnderWay: (bytes) => bytes.length > 0 && readHello(bytes) === 'incomplete',
};

export const tlsInspector: ListenerFilterBinding = {
  name: 'envoy.filters.listener.tls_inspector',
  maxPeekBytes: maxHelloBytes,
  needsBytes: true,
  create: () => filter,
};
