/**
 * Istio's host names: short names become full ones in a namespace, wildcards (`*.example.com`, `*`) match by
 * suffix, and among several matches the most specific wins. Comparison is by lower case; a trailing dot of a
 * fully qualified name is dropped.
 */

export const defaultClusterDomain = 'cluster.local';

/** The full name of a Kubernetes service. */
export function serviceHostname(
  name: string,
  namespace: string,
  clusterDomain = defaultClusterDomain,
): string {
  return `${name}.${namespace}.svc.${clusterDomain}`;
}

/**
 * The full name for `host` as an Istio resource in `namespace` writes it. A name without dots is a service of that
 * namespace, as in Istio. `name.namespace` and `name.namespace.svc` stay as they are here, because they may as
 * well be DNS names: `hostCandidates` gives their other reading.
 */
export function resolveHost(host: string, namespace: string, clusterDomain = defaultClusterDomain): string {
  const name = normalizeHost(host);
  if (name.includes('.') || name.startsWith('*') || name === '' || name.includes(':')) return name;
  return serviceHostname(name, namespace, clusterDomain);
}

/**
 * Every full name `host` may mean, most likely first; the first that is a known service is meant. `reviews.prod`
 * is a DNS name or service `reviews` of namespace `prod`.
 */
export function hostCandidates(
  host: string,
  namespace: string,
  clusterDomain = defaultClusterDomain,
): readonly string[] {
  const name = normalizeHost(host);
  const full = resolveHost(name, namespace, clusterDomain);
  const labels = name.split('.');
  if (name.startsWith('*')) return [full];
  if (labels.length === 2) return [full, `${name}.svc.${clusterDomain}`];
  if (labels.length === 3 && labels[2] === 'svc') return [full, `${name}.${clusterDomain}`];
  return [full];
}

export function normalizeHost(host: string): string {
  const lower = host.toLowerCase();
  return lower.length > 1 && lower.endsWith('.') ? lower.slice(0, -1) : lower;
}

export function isWildcard(host: string): boolean {
  return host.startsWith('*');
}

/** Whether `pattern` (a name or wildcard) covers `host` (a name or wildcard): `*.a.b` covers `*.x.a.b`. */
export function hostMatches(pattern: string, host: string): boolean {
  if (pattern === host || pattern === '*') return true;
  if (!isWildcard(pattern)) return false;
  const suffix = pattern.slice(1);
  return isWildcard(host)
    ? host.slice(1).endsWith(suffix)
    : host.length > suffix.length && host.endsWith(suffix);
}

/** Whether some name is covered by both. */
export function hostsOverlap(a: string, b: string): boolean {
  return hostMatches(a, b) || hostMatches(b, a);
}

/** The more specific first: names before wildcards, longer wildcards before shorter, then by name. */
export function compareSpecificity(a: string, b: string): number {
  const aWild = isWildcard(a);
  if (aWild !== isWildcard(b)) return aWild ? 1 : -1;
  if (aWild && a.length !== b.length) return b.length - a.length;
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The most specific of `patterns` that covers `host`. */
export function mostSpecificHost(host: string, patterns: Iterable<string>): string | undefined {
  let best: string | undefined;
  for (const pattern of patterns) {
    if (hostMatches(pattern, host) && (best === undefined || compareSpecificity(pattern, best) < 0))
      best = pattern;
  }
  return best;
}

/**
 * Names under which workloads of `clientNamespace` call a Kubernetes service, shortest first; other services keep
 * their one name.
 */
export function hostAliases(
  hostname: string,
  clientNamespace: string,
  clusterDomain: string,
): readonly string[] {
  const suffix = `.svc.${clusterDomain}`;
  if (!hostname.endsWith(suffix)) return [hostname];
  const [name, namespace, ...rest] = hostname.slice(0, -suffix.length).split('.');
  if (name === undefined || namespace === undefined || rest.length > 0) return [hostname];
  const aliases = [`${name}.${namespace}`, `${name}.${namespace}.svc`, hostname];
  return namespace === clientNamespace ? [name, ...aliases] : aliases;
}
