/**
 * Transport sockets with TLS: the mesh's own certificates (SDS `default` and `ROOTCA`), those of Secrets, and those
 * of files beside the workload. Names and settings are Istio's, so that any sidecar may be at the other end.
 */
import type { ClientTlsSettings, TlsLimits } from '@sluice/api';
import { spiffeId } from '@sluice/identity';
import { DownstreamTlsContextTable, RawBufferTable, UpstreamTlsContextTable } from '@sluice/xds';
import type {
  CertificateValidationContext,
  CommonTlsContext,
  Init,
  SdsSecretConfig,
  TlsParameters,
  TransportSocket,
} from '@sluice/xds';
import { adsSource, optionalSource } from './config-source.ts';
import type { MeshSettings } from './node.ts';
import { typedConfig } from './typed-config.ts';

/** Secrets of the workload itself: its certificate, and whom it trusts. */
const workloadSecret = 'default';
const rootSecret = 'ROOTCA';
const tlsSocket = 'envoy.transport_sockets.tls';
/** Where Debian, Ubuntu, Alpine and their images keep the authorities of the system. */
const systemRootsFile = '/etc/ssl/certs/ca-certificates.crt';

/** By these a client says that it is a sidecar and what it sends; Istio's `alpn` filter and clusters offer them. */
export const istioAlpn = {
  http: ['istio-http/1.0', 'istio-http/1.1', 'istio-h2'],
  tcp: ['istio-peer-exchange', 'istio'],
} as const;

/** Suites of TLS 1.2 that istiod gives its sidecars. */
const inboundCiphers = [
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'AES256-GCM-SHA384',
  'AES128-GCM-SHA256',
];

/** Takes mutual TLS from the trust domain and its aliases. `carries`: what the chain's filters read. */
export function inboundMutualTls(carries: 'http' | 'tcp', mesh: MeshSettings): Init<TransportSocket> {
  const common: Init<CommonTlsContext> = {
    tlsParams: parameters(mesh.meshTls, inboundCiphers),
    ...meshCertificates(
      [mesh.trustDomain, ...mesh.trustDomainAliases].map((domain) => ({ prefix: `spiffe://${domain}/` })),
    ),
    // `istio` where Istio has `istio-peer-exchange`: that one promises metadata before the first byte.
    alpnProtocols: carries === 'http' ? ['h2', 'http/1.1'] : ['istio', 'h2', 'http/1.1'],
  };
  return {
    name: tlsSocket,
    typedConfig: typedConfig(DownstreamTlsContextTable, {
      commonTlsContext: common,
      requireClientCertificate: true,
    }),
  };
}

export interface MutualTlsTarget {
  readonly sni: string;
  /** Of which the server must prove one; empty = anybody of the trust bundle. */
  readonly subjectAltNames: readonly string[];
  /** What is known of the bytes inside: the server chooses its filters by it. */
  readonly carries: 'http1' | 'http2' | 'bytes';
}

/** Mutual TLS with the certificates of the mesh. */
export function outboundMutualTls(target: MutualTlsTarget, mesh: MeshSettings): Init<TransportSocket> {
  return upstream(target.sni, {
    tlsParams: parameters(mesh.meshTls, []),
    ...meshCertificates(target.subjectAltNames.map((name) => ({ exact: name }))),
    alpnProtocols: offered(target.carries),
  });
}

/** Who is at the other end where the rule does not say. */
export interface ExpectedServer {
  /** Empty for a wildcard: the request's own host is asked for then. */
  readonly hostname: string;
  /** Of its ServiceEntry. */
  readonly subjectAltNames: readonly string[];
  readonly isHttp2: boolean;
}

/** What DestinationRules ask for beyond the mesh: SIMPLE and MUTUAL, by Secret or by files. */
export function originatedTls(
  tls: ClientTlsSettings,
  expected: ExpectedServer,
  mesh: MeshSettings,
  knowsSystemRoots: boolean,
): Init<TransportSocket> {
  return upstream(tls.sni || expected.hostname, {
    tlsParams: parameters(mesh.tlsDefaults, []),
    ...(tls.mode === 'MUTUAL' ? clientCertificate(tls) : {}),
    ...serverValidation(tls, expected, knowsSystemRoots),
    ...(expected.isHttp2 ? { alpnProtocols: ['h2'] } : {}),
  });
}

export const rawBuffer: Init<TransportSocket> = {
  name: 'envoy.transport_sockets.raw_buffer',
  typedConfig: typedConfig(RawBufferTable, {}),
};

/** SPIFFE IDs of service accounts, under the trust domain and each of its aliases. */
export function accountNames(
  accounts: readonly { readonly namespace: string; readonly name: string }[],
  mesh: MeshSettings,
): string[] {
  const domains = [mesh.trustDomain, ...mesh.trustDomainAliases];
  return accounts.flatMap(({ namespace, name }) =>
    domains.map((domain) => spiffeId(domain, namespace, name)),
  );
}

function offered(carries: MutualTlsTarget['carries']): string[] {
  switch (carries) {
    case 'http1':
      return ['istio-http/1.1', 'istio', 'http/1.1'];
    case 'http2':
      return ['istio-h2', 'istio', 'h2'];
    case 'bytes':
      return ['istio'];
  }
}

function upstream(sni: string, commonTlsContext: Init<CommonTlsContext>): Init<TransportSocket> {
  return {
    name: tlsSocket,
    typedConfig: typedConfig(UpstreamTlsContextTable, { commonTlsContext, ...(sni === '' ? {} : { sni }) }),
  };
}

function parameters(limits: TlsLimits, ciphers: readonly string[]): Init<TlsParameters> {
  const cipherSuites = limits.cipherSuites.length > 0 ? limits.cipherSuites : ciphers;
  return {
    tlsMinimumProtocolVersion: limits.minVersion,
    tlsMaximumProtocolVersion: 'TLSv1_3',
    ...(cipherSuites.length > 0 ? { cipherSuites } : {}),
    ...(limits.ecdhCurves.length > 0 ? { ecdhCurves: limits.ecdhCurves } : {}),
  };
}

/** The workload's own certificate, and peers of the trust bundle that prove one of the names. */
function meshCertificates(
  names: readonly ({ readonly exact: string } | { readonly prefix: string })[],
): Init<CommonTlsContext> {
  return {
    tlsCertificateSdsSecretConfigs: [meshSecret(workloadSecret)],
    combinedValidationContext: {
      defaultValidationContext: names.length > 0 ? { matchSubjectAltNames: [...names] } : {},
      validationContextSdsSecretConfig: meshSecret(rootSecret),
    },
  };
}

/** There is no going on without these: they are waited for as long as it takes. */
function meshSecret(name: string): Init<SdsSecretConfig> {
  return { name, sdsConfig: adsSource };
}

/** A Secret of the proxy's own namespace; one that does not come fails its cluster, not the others. */
function namedSecret(name: string): Init<SdsSecretConfig> {
  return { name: `kubernetes://${name}`, sdsConfig: optionalSource };
}

function clientCertificate(tls: ClientTlsSettings): Init<CommonTlsContext> {
  if (tls.credentialName) return { tlsCertificateSdsSecretConfigs: [namedSecret(tls.credentialName)] };
  const { clientCertificate: chain = '', privateKey = '' } = tls;
  return {
    tlsCertificates: [{ certificateChain: { filename: chain }, privateKey: { filename: privateKey } }],
  };
}

/** Without written names the server must have a certificate for the name it is called by. */
function expectedNames(
  tls: ClientTlsSettings,
  { hostname, subjectAltNames }: ExpectedServer,
): Init<CertificateValidationContext> {
  const names = tls.subjectAltNames?.length ? tls.subjectAltNames : subjectAltNames;
  if (names.length > 0) return { matchSubjectAltNames: names.map((name) => ({ exact: name })) };
  const name = tls.sni || hostname;
  if (name === '') return {};
  // By type, so that a certificate for `*.example.com` counts.
  return { matchTypedSubjectAltNames: [{ sanType: 'DNS', matcher: { exact: name } }] };
}

function serverValidation(
  tls: ClientTlsSettings,
  expected: ExpectedServer,
  knowsSystemRoots: boolean,
): Init<CommonTlsContext> {
  if (tls.insecureSkipVerify === true) return {};
  const matched = expectedNames(tls, expected);
  if (tls.credentialName) {
    return {
      combinedValidationContext: {
        defaultValidationContext: matched,
        validationContextSdsSecretConfig: namedSecret(`${tls.credentialName}-cacert`),
      },
    };
  }
  const isSystem = !tls.caCertificates || tls.caCertificates === 'system';
  const roots: Init<CertificateValidationContext> = !isSystem
    ? { trustedCa: { filename: tls.caCertificates ?? '' } }
    : knowsSystemRoots
      ? { systemRootCerts: {} }
      : { trustedCa: { filename: systemRootsFile } };
  return {
    validationContext: { ...roots, ...matched, ...(tls.caCrl ? { crl: { filename: tls.caCrl } } : {}) },
  };
}
