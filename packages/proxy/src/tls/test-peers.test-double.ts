/** TLS messages and outcomes for tests of policy: certificates are real, handshakes are not. */
import { TestAuthority, type TestLeaf } from '@sluice/testkit';
import {
  parseJsonMessage,
  DownstreamTlsContextTable,
  SecretTable,
  UpstreamTlsContextTable,
  type DownstreamTlsContext,
  type Secret,
  type UpstreamTlsContext,
} from '@sluice/xds';
import { KnownPeers } from '../io/peer-certificate.ts';
import type { ClientHello, HandshakeOutcome, TlsFailure } from '../io/tls-context.ts';
import type { PeerCertificate, TlsFacts } from '../io/tls-facts.ts';
import { SecretSet } from './secret-set.ts';
import { SecuredConnections } from './secured-connections.ts';
import { SettingsCache, type TlsEnvironment } from './tls-environment.ts';

export const nowMs = Date.UTC(2026, 0, 15);
export const authority = new TestAuthority({ nowMs });

export function downstream(json: object): DownstreamTlsContext {
  return parseJsonMessage(DownstreamTlsContextTable, json);
}

export function upstream(json: object): UpstreamTlsContext {
  return parseJsonMessage(UpstreamTlsContextTable, json);
}

export function certificate(leaf: TestLeaf): object {
  return { certificate_chain: { inline_string: leaf.chainPem }, private_key: { inline_string: leaf.keyPem } };
}

export function leafSecret(name: string, leaf: TestLeaf): Secret {
  return parseJsonMessage(SecretTable, { name, tls_certificate: certificate(leaf) });
}

export function rootSecret(name: string, crl = '', roots = authority.rootPem): Secret {
  const trusted = { trusted_ca: { inline_string: roots } };
  return parseJsonMessage(SecretTable, {
    name,
    validation_context: crl === '' ? trusted : { ...trusted, crl: { inline_string: crl } },
  });
}

export interface TestEnvironment extends TlsEnvironment {
  readonly counted: (TlsFailure['kind'] | 'handshake' | 'revoked-connection')[];
  /** What is to be done soon; run by the test. */
  readonly later: (() => void)[];
}

export function testEnvironment(): TestEnvironment {
  const secrets = new SecretSet();
  const counted: TestEnvironment['counted'] = [];
  const later: (() => void)[] = [];
  const soon = (run: () => void): void => void later.push(run);
  const stats = {
    handshake: () => void counted.push('handshake'),
    failure: ({ kind }: TlsFailure) => void counted.push(kind),
    revoked: () => void counted.push('revoked-connection'),
  };
  return {
    secrets,
    settings: new SettingsCache(),
    connections: new SecuredConnections(secrets, { soon }),
    soon,
    wallMs: () => nowMs,
    listenerStats: () => stats,
    clusterStats: () => stats,
    counted,
    later,
  };
}

export function hello(more: Partial<ClientHello> = {}): ClientHello {
  return { serverName: '', protocols: [], acceptsEcdsa: true, ...more };
}

/** What is read of a peer that shows its leaf and these. */
export function shown(leaf: TestLeaf, ...others: readonly Uint8Array[]): PeerCertificate | null {
  const { der } = leaf.certificate;
  return new KnownPeers().take(der, () => [der, ...others]);
}

/** As the engine would tell of a peer with this certificate. */
export function outcome(leaf: TestLeaf | null, more: Partial<HandshakeOutcome> = {}): HandshakeOutcome {
  return {
    chainError: null,
    peer: leaf === null ? null : shown(leaf, authority.signing.certificate.der),
    hasPeer: leaf !== null,
    alpn: '',
    serverName: '',
    isResumed: false,
    ...more,
  };
}

export function factsWith(peer: TestLeaf | null, credential: string): TlsFacts {
  return {
    protocol: 'TLSv1.3',
    cipher: 'TLS_AES_128_GCM_SHA256',
    alpn: '',
    serverName: '',
    isPeerVerified: peer !== null,
    peer: outcome(peer).peer,
    local: null,
    isResumed: false,
    credential,
  };
}
