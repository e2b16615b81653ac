/**
 * The service a cluster stands for, from its `filter_metadata.istio.services` (`[{host, name, namespace}]`):
 * an inbound cluster's name (`inbound|8080||`) cannot say it.
 */
export interface ServiceIdentity {
  readonly host: string;
  readonly name: string;
  readonly namespace: string;
}

/** The first one named; null when there is none. What is missing is `unknown`, Istio's word. */
export function serviceFromMetadata(
  filterMetadata: Readonly<Record<string, unknown>> | null,
): ServiceIdentity | null {
  const services = recordOf(filterMetadata?.['istio'])['services'];
  const first: unknown = Array.isArray(services) ? services[0] : undefined;
  const { host, name, namespace } = recordOf(first);
  const known = textOf(host);
  if (known === undefined) return null;
  return { host: known, name: textOf(name) ?? known, namespace: textOf(namespace) ?? 'unknown' };
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
