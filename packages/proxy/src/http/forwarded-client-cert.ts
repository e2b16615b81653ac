/**
 * `x-forwarded-client-cert`: what the next hop is told about the client's certificate, in Envoy's format
 * (elements joined by `,` one a proxy; in an element `Key=value` joined by `;`).
 *
 * Only a verified certificate is told of, and what a peer claims without one is dropped; the one exception
 * is the mode that says so by name (ALWAYS_FORWARD_ONLY). Values come from certificates, which strangers may
 * have written: what could end a value, an element or the header is quoted or escaped.
 */
import { chainPem, isProblem, parseChain } from '@sluice/identity';
import { H, type HeaderList } from '@sluice/wire';
import type { PeerCertificate, TlsFacts } from '../io/tls-facts.ts';
import type { ConnectionFacts } from '../listener/connection-facts.ts';

export type ForwardClientCert =
  'SANITIZE' | 'FORWARD_ONLY' | 'APPEND_FORWARD' | 'SANITIZE_SET' | 'ALWAYS_FORWARD_ONLY';

export interface ClientCertConfig {
  readonly mode: ForwardClientCert;
  readonly subject: boolean;
  readonly cert: boolean;
  readonly chain: boolean;
  readonly dns: boolean;
  readonly uri: boolean;
  /** One element per connection, made with its first request. Owned by this file. */
  readonly elements: WeakMap<TlsFacts, string>;
}

export function clientCertConfig(fields: Omit<ClientCertConfig, 'elements'>): ClientCertConfig {
  return { ...fields, elements: new WeakMap() };
}

export function judgeClientCert(headers: HeaderList, facts: ConnectionFacts, config: ClientCertConfig): void {
  const { mode } = config;
  if (mode === 'ALWAYS_FORWARD_ONLY') return;
  const { tls } = facts;
  if (mode === 'SANITIZE' || !facts.isMutualTls) return void headers.remove(H.xForwardedClientCert);
  if (mode === 'FORWARD_ONLY' || tls?.peer == null) return;
  const element = elementOf(tls, tls.peer, config);
  const before = mode === 'APPEND_FORWARD' ? headers.joined(H.xForwardedClientCert) : undefined;
  headers.set(
    H.xForwardedClientCert,
    before === undefined || before === '' ? element : `${before},${element}`,
  );
}

function elementOf(tls: TlsFacts, peer: PeerCertificate, config: ClientCertConfig): string {
  let element = config.elements.get(tls);
  if (element === undefined) config.elements.set(tls, (element = makeElement(tls, peer, config)));
  return element;
}

/** The keys in Envoy's order. */
function makeElement(tls: TlsFacts, peer: PeerCertificate, config: ClientCertConfig): string {
  const pairs = (tls.local?.uriSans ?? []).map((uri) => `By=${plain(uri)}`);
  pairs.push(`Hash=${peer.sha256}`);
  if (config.cert) pairs.push(`Cert="${encodeURIComponent(peer.pem())}"`);
  if (config.chain) pairs.push(`Chain="${encodeURIComponent(shownChain(peer))}"`);
  if (config.subject) pairs.push(`Subject="${quotable(peer.subject)}"`);
  if (config.uri) {
    const uris = peer.uriSans.length === 0 ? [''] : peer.uriSans;
    for (const uri of uris) pairs.push(`URI=${plain(uri)}`);
  }
  if (config.dns) for (const name of peer.dnsSans) pairs.push(`DNS=${plain(name)}`);
  return pairs.join(';');
}

/**
 * The chain without the root that the engine has added from its trusted ones; it does not tell, so that a client
 * that sends a root itself is not told of it either.
 */
function shownChain(peer: PeerCertificate): string {
  const chain = parseChain(peer.chainPem());
  if (isProblem(chain)) return peer.chainPem();
  const last = chain[chain.length - 1];
  const isRoot = last !== undefined && Buffer.compare(last.subjectDer, last.issuerDer) === 0;
  return chainPem(isRoot && chain.length > 1 ? chain.slice(0, -1) : chain);
}

/** A value without quotes where it needs none, as Envoy writes it; quoted where a delimiter stands in it. */
function plain(value: string): string {
  return /[,;"\\\s]/.test(value) || value !== visible(value) ? `"${quotable(value)}"` : value;
}

/** Fit for the inside of quotes: `"` escaped, unless it is already (RFC 4514 escapes it in names). */
function quotable(value: string): string {
  return visible(value).replace(/\\.|"|\\$/g, (found) => (found.length === 2 ? found : `\\${found}`));
}

/** Octets that a field value may not have, and all beyond ASCII, percent-encoded. */
function visible(value: string): string {
  return value.replace(/[^\x20-\x7e]+/gu, (found) => encodeURIComponent(found.toWellFormed()));
}
