/**
 * How connections to a service's endpoints are encrypted: as its DestinationRule says, else (auto mTLS) by the
 * mesh's certificates wherever the endpoint's sidecar takes them and in plaintext elsewhere, as Istio decides it.
 */
import type { ClientTlsSettings } from '@sluice/api';
import type { Cluster, Init, UpstreamTlsNameOptions } from '@sluice/xds';
import type { TrafficPolicy } from '../model/destination-rule.ts';
import { isHttp } from '../model/protocol.ts';
import type { MeshService, MeshServicePort } from '../model/service.ts';
import { mutualTlsMatch } from './endpoints.ts';
import { originatedTls, outboundMutualTls, rawBuffer } from './tls-context.ts';
import type { ExpectedServer, MutualTlsTarget } from './tls-context.ts';
import { serverNameOf } from './names.ts';
import type { MeshSettings } from './node.ts';
import { upstreamVersion } from './upstream-protocol.ts';

export interface UpstreamTlsFacts {
  /** Proxies that do not speak TLS get plaintext clusters. */
  readonly knowsTls: boolean;
  readonly knowsHttp2: boolean;
  readonly knowsSystemRoots: boolean;
}

export interface UpstreamTlsTarget {
  readonly service: MeshService;
  readonly port: MeshServicePort;
  readonly subset: string;
  readonly policy: TrafficPolicy;
  /** Names of which endpoints must prove one under mutual TLS. */
  readonly accounts: readonly string[];
}

export function upstreamTls(
  target: UpstreamTlsTarget,
  facts: UpstreamTlsFacts,
  mesh: MeshSettings,
): Pick<Init<Cluster>, 'transportSocket' | 'transportSocketMatches'> {
  const { tls } = target.policy;
  if (!facts.knowsTls) return {};
  if (tls?.mode !== undefined) {
    if (tls.mode === 'DISABLE') return {};
    if (tls.mode === 'ISTIO_MUTUAL') return { transportSocket: meshSocket(target, tls, facts, mesh) };
    return {
      transportSocket: originatedTls(tls, expectedServer(target, facts), mesh, facts.knowsSystemRoots),
    };
  }
  if (!isAutomatic(target.service, tls, mesh)) return {};
  return {
    transportSocketMatches: [
      {
        name: 'tlsMode-istio',
        match: mutualTlsMatch,
        transportSocket: meshSocket(target, undefined, facts, mesh),
      },
      { name: 'tlsMode-disabled', match: {}, transportSocket: rawBuffer },
    ],
  };
}

/** Whether endpoints are chosen between by what their sidecars take. */
export function isAutomatic(
  service: MeshService,
  tls: ClientTlsSettings | undefined,
  mesh: Pick<MeshSettings, 'autoMtls'>,
): boolean {
  return mesh.autoMtls && tls?.mode === undefined && !service.isExternal && service.resolution !== 'none';
}

function meshSocket(
  { service, port, subset, policy, accounts }: UpstreamTlsTarget,
  tls: ClientTlsSettings | undefined,
  facts: UpstreamTlsFacts,
  mesh: MeshSettings,
): ReturnType<typeof outboundMutualTls> {
  const written = tls?.subjectAltNames ?? [];
  return outboundMutualTls(
    {
      sni: tls?.sni || serverNameOf(port.number, subset, service.hostname),
      subjectAltNames: written.length > 0 ? written : [...accounts, ...service.subjectAltNames],
      carries: carriedBy(port, policy, facts.knowsHttp2),
    },
    mesh,
  );
}

/**
 * Ports without a declared protocol carry requests and bytes by one cluster: for the server they are bytes. So are the
 * connections of a cluster that speaks what its clients speak, of which some are HTTP/1 and some HTTP/2: offered both,
 * a server would take the same for all of them; offered neither, it looks at the first bytes.
 */
function carriedBy(
  port: MeshServicePort,
  policy: TrafficPolicy,
  knowsHttp2: boolean,
): MutualTlsTarget['carries'] {
  if (!isHttp(port.protocol, knowsHttp2)) return 'bytes';
  const version = upstreamVersion(port, policy.connectionPool, knowsHttp2);
  return version === 'downstream' ? 'bytes' : version;
}

/** Behind a wildcard each request says which server is meant, and the server must be that one. */
export function requestedNames(
  service: MeshService,
  port: MeshServicePort,
  { tls }: TrafficPolicy,
): Init<UpstreamTlsNameOptions> | null {
  const isOriginated = tls?.mode === 'SIMPLE' || tls?.mode === 'MUTUAL';
  if (!isOriginated || tls.sni || !service.hostname.startsWith('*') || !isHttp(port.protocol, true))
    return null;
  const names = tls.subjectAltNames?.length ? tls.subjectAltNames : service.subjectAltNames;
  return { autoSni: true, autoSanValidation: names.length === 0 && tls.insecureSkipVerify !== true };
}

function expectedServer(
  { service, port, policy }: UpstreamTlsTarget,
  facts: UpstreamTlsFacts,
): ExpectedServer {
  return {
    hostname: service.hostname.startsWith('*') ? '' : service.hostname,
    subjectAltNames: service.subjectAltNames,
    isHttp2: upstreamVersion(port, policy.connectionPool, facts.knowsHttp2) === 'http2',
  };
}
