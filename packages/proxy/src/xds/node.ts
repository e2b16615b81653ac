/** Who this proxy says it is: the bootstrap's node, flags laid over it, and what it announces to be able to do. */
import type { GrpcMetadata } from '@sluice/wire';
import type { ApiConfigSource, Init, Node } from '@sluice/xds';
import type { CommandLine } from '../command-line.ts';

/** What a control plane may send to us beyond plain xDS (design §6, Node contract). */
const capabilities = [
  'sluice.dev/vhds',
  'sluice.dev/method-aware-retry',
  'sluice.dev/forward-proxy',
  'sluice.dev/http2',
  'sluice.dev/tls',
  'sluice.dev/system-roots',
];

export function nodeOf(
  configured: Node | undefined,
  options: Pick<CommandLine, 'serviceNode' | 'serviceCluster' | 'serviceZone'>,
  version: string,
): Init<Node> {
  const announced = configured?.metadata?.['SLUICE_CAPABILITIES'];
  const all = new Set([...(Array.isArray(announced) ? announced.map(String) : []), ...capabilities]);
  const locality = configured?.locality ?? { region: '', zone: '', subZone: '' };
  return {
    ...configured,
    id: options.serviceNode ?? configured?.id ?? '',
    cluster: options.serviceCluster ?? configured?.cluster ?? '',
    locality: options.serviceZone === null ? locality : { ...locality, zone: options.serviceZone },
    metadata: { ...configured?.metadata, SLUICE_VERSION: version, SLUICE_CAPABILITIES: [...all] },
    userAgentName: 'sluice',
    userAgentVersion: version,
  };
}

/** `initial_metadata` of the xDS service: the instance's bearer token among others. */
export function adsMetadata(config: ApiConfigSource): GrpcMetadata {
  return config.grpcServices.flatMap((service) =>
    service.initialMetadata.map(({ key, value }) => [key.toLowerCase(), value] as const),
  );
}
