/**
 * The TLS engine (BoringSSL in Bun) behind the few calls that both socket implementations need.
 *
 * A native context holds keys, trusted roots and the keys of session tickets: it is made once per settings
 * object, so that a handshake costs no parsing, sessions of one credential resume among each other, and
 * sessions of a replaced credential or trust bundle do not. Undocumented members in use (`secureContext`,
 * `isServer`, `initialData`, the `session` event) are pinned by `bun-tls-contract.test.ts`.
 */
import { constants } from 'node:crypto';
import {
  createSecureContext,
  getCACertificates,
  rootCertificates,
  type SecureContext,
  type SecureVersion,
} from 'node:tls';
import { peersOf, readChain } from './peer-certificate.ts';
import type { HandshakeOutcome, TlsFailure, TlsSettings, TlsVersion } from './tls-context.ts';
import type { PeerCertificate, TlsFacts } from './tls-facts.ts';

/** What the engine tells of a finished handshake; Bun's sockets and node:tls name it differently. */
export interface EngineView {
  readonly protocol: string;
  readonly cipher: string;
  /** Empty = none. */
  readonly alpn: string;
  readonly isResumed: boolean;
  /** DER of the certificate that the peer proved to own; null = it showed none. */
  readonly leaf: Uint8Array | null;
  /** DER of all it showed, leaf first. Dear: the engine describes each certificate in text. */
  readonly chain: () => readonly Uint8Array[];
}

/** What node:tls and Bun give for a peer's certificate. */
export interface EngineCertificate {
  readonly raw?: Uint8Array;
  readonly issuerCertificate?: EngineCertificate;
}

const versionNames: Readonly<Record<TlsVersion, SecureVersion>> = {
  0x0301: 'TLSv1',
  0x0302: 'TLSv1.1',
  0x0303: 'TLSv1.2',
  0x0304: 'TLSv1.3',
};

/** A chain in which a certificate issues itself ends; anything longer than this is a loop. */
const maxChainLength = 16;

/**
 * Verdicts of X.509 verification, as node:tls names them. Any other code is a failure of the handshake
 * itself, which no policy may forgive.
 */
const chainErrors: ReadonlySet<string> = new Set([
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_CRL',
  'UNABLE_TO_DECRYPT_CERT_SIGNATURE',
  'UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY',
  'CERT_SIGNATURE_FAILURE',
  'CERT_NOT_YET_VALID',
  'CERT_HAS_EXPIRED',
  'ERROR_IN_CERT_NOT_BEFORE_FIELD',
  'ERROR_IN_CERT_NOT_AFTER_FIELD',
  'OUT_OF_MEM',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_CHAIN_TOO_LONG',
  'CERT_REVOKED',
  'INVALID_CA',
  'PATH_LENGTH_EXCEEDED',
  'INVALID_PURPOSE',
  'CERT_UNTRUSTED',
  'CERT_REJECTED',
  'HOSTNAME_MISMATCH',
]);
/** The engine compares the name that was dialled; who may be spoken to is the judge's to say. */
const nameMismatch = 'ERR_TLS_CERT_ALTNAME_INVALID';

const contexts = new WeakMap<TlsSettings, SecureContext>();

/** Throws when key and chain do not fit together, which whoever loaded them has checked. */
export function engineContext(settings: TlsSettings): SecureContext {
  let context = contexts.get(settings);
  if (context === undefined) {
    context = createContext(settings);
    contexts.set(settings, context);
  }
  return context;
}

function createContext(settings: TlsSettings): SecureContext {
  const { credential, trustedPem, role } = settings;
  return createSecureContext({
    // Without roots the engine would load its own list for a verdict that nobody asks for.
    ca: trustedPem ?? [],
    minVersion: versionNames[settings.minVersion],
    maxVersion: versionNames[settings.maxVersion],
    ...(credential === null ? {} : { key: credential.keyPem, cert: credential.chainPem }),
    ...(settings.ciphers === '' ? {} : { ciphers: settings.ciphers, honorCipherOrder: true }),
    ...(settings.curves === '' ? {} : { ecdhCurve: settings.curves }),
    ...(settings.hasSessions ? {} : { secureOptions: constants.SSL_OP_NO_TICKET }),
    ...(settings.sessionLifetimeMs === 0
      ? {}
      : { sessionTimeout: Math.ceil(settings.sessionLifetimeMs / 1000) }),
    // Missing from the types: the context must know whether the client is to be asked.
    ...({
      requestCert: role === 'server' && settings.asksForCertificate,
      rejectUnauthorized: false,
    } as object),
  });
}

/** The roots of the machine; those that come with the engine where it has none. */
export function systemRoots(): string {
  const system = getCACertificates('system');
  return (system.length > 0 ? system : rootCertificates).join('\n');
}

/** Length-prefixed names (RFC 7301 §3.1), the only form that the engine takes. */
export function alpnWire(protocols: readonly string[]): Buffer {
  return Buffer.concat(
    protocols.map((name) => Buffer.from(`${String.fromCharCode(name.length)}${name}`, 'latin1')),
  );
}

/** Why the handshake itself failed; null = it finished, whatever is to be said of the certificates. */
export function engineFailure(error: unknown): TlsFailure | null {
  const code = codeOf(error);
  if (code === null || code === nameMismatch || chainErrors.has(code)) return null;
  if (code === 'ECONNRESET' || code === 'EPIPE')
    return { kind: 'closed', reason: 'the peer closed the connection during the handshake' };
  return { kind: 'protocol', reason: `TLS_error: ${describe(error, code)}` };
}

export function outcomeOf(
  view: EngineView,
  error: unknown,
  serverName: string,
  settings: TlsSettings,
): HandshakeOutcome {
  const code = codeOf(error);
  const chainError = code === nameMismatch ? null : code;
  return {
    chainError,
    peer: peerOf(view, chainError, settings),
    hasPeer: view.leaf !== null,
    alpn: view.alpn,
    serverName,
    isResumed: view.isResumed,
  };
}

function peerOf(
  { leaf, chain }: EngineView,
  chainError: string | null,
  settings: TlsSettings,
): PeerCertificate | null {
  if (leaf === null) return null;
  return chainError === null ? peersOf(settings).take(leaf, chain) : readChain(chain());
}

export function factsOf(view: EngineView, outcome: HandshakeOutcome, settings: TlsSettings): TlsFacts {
  return {
    protocol: shared(view.protocol),
    cipher: shared(view.cipher),
    alpn: shared(view.alpn),
    serverName: outcome.serverName,
    isPeerVerified: outcome.peer !== null && settings.trustedPem !== null && outcome.chainError === null,
    peer: outcome.peer,
    local: settings.credential?.facts ?? null,
    isResumed: view.isResumed,
    credential: settings.credential?.generation ?? '',
  };
}

/** Of what has a handful of values the engine makes a string for each connection, which would stay as long as that. */
const spellings = new Map<string, string>();
/** What a peer may have a say in stays bounded. */
const maxSpellings = 64;

function shared(text: string): string {
  const known = spellings.get(text);
  if (known !== undefined) return known;
  if (spellings.size < maxSpellings) spellings.set(text, text);
  return text;
}

/** DER of what the peer showed, leaf first. */
export function chainOf(leaf: EngineCertificate | null | undefined): Uint8Array[] {
  const chain: Uint8Array[] = [];
  for (let at = leaf; at?.raw !== undefined && chain.length < maxChainLength; at = at.issuerCertificate) {
    chain.push(at.raw);
    if (at.issuerCertificate === at) break;
  }
  return chain;
}

function codeOf(error: unknown): string | null {
  if (error === null || error === undefined) return null;
  const { code } = error as { code?: unknown };
  return typeof code === 'string' ? code : 'UNKNOWN';
}

/** The engine's own words: `error:10000133:SSL routines:OPENSSL_internal:NO_APPLICATION_PROTOCOL`. */
function describe(error: unknown, code: string): string {
  return error instanceof Error && error.message !== '' ? error.message : code;
}
