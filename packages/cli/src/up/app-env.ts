/**
 * The environment an application gets to find others without privileges: Kubernetes' service variables, pointing
 * at its own sidecar's listeners, and the sidecar as HTTP_PROXY.
 */
import type { OutboundBinding } from '@sluice/api';

export interface AppEnvOptions {
  /** What the user's shell has; its own proxy settings are replaced. */
  readonly base: Readonly<Record<string, string | undefined>>;
  /** From sluice.yaml; wins over everything but what names the instance. */
  readonly configured: Readonly<Record<string, string>>;
  readonly namespace: string;
  readonly workload: string;
  readonly instance: string;
  readonly version: string;
  readonly ports: readonly { readonly name: string; readonly app: number }[];
  readonly outbound: readonly OutboundBinding[];
  /** Names of service ports: `namespace/service:number` → name. */
  readonly portNames: ReadonlyMap<string, string>;
  /** A folder of its own to build into. */
  readonly workDir: string;
}

/** Name under which the forward proxy's listener stands among the bindings. */
const forwardProxy = 'http_proxy';
const noProxy = 'localhost,127.0.0.1,::1';
const replaced = new Set([
  'HTTP_PROXY',
  'http_proxy',
  'HTTPS_PROXY',
  'https_proxy',
  'ALL_PROXY',
  'all_proxy',
  'NO_PROXY',
  'no_proxy',
]);

export function appEnv(options: AppEnvOptions): Record<string, string> {
  const inherited = Object.entries(options.base).filter(([name]) => !replaced.has(name));
  return {
    ...Object.fromEntries(inherited.filter((entry): entry is [string, string] => entry[1] !== undefined)),
    ...proxyVariables(options.outbound),
    ...serviceVariables(options),
    ...portVariables(options.ports),
    SLUICE_WORK_DIR: options.workDir,
    SLUICE_VERSION: options.version,
    ...options.configured,
    SLUICE_WORKLOAD: options.workload,
    SLUICE_INSTANCE: options.instance,
    SLUICE_NAMESPACE: options.namespace,
  };
}

/** `REVIEWS_SERVICE_HOST`, `_PORT` (the first port) and `_PORT_HTTP`, for services of the same namespace. */
function serviceVariables({ outbound, namespace, portNames }: AppEnvOptions): Record<string, string> {
  const variables: Record<string, string> = {};
  for (const binding of outbound) {
    if (binding.service === forwardProxy || binding.namespace !== namespace) continue;
    const prefix = `${variableName(binding.service)}_SERVICE`;
    variables[`${prefix}_HOST`] ??= binding.address;
    variables[`${prefix}_PORT`] ??= String(binding.localPort);
    const name = portNames.get(`${binding.namespace}/${binding.service}:${binding.port}`);
    if (name !== undefined && name !== '')
      variables[`${prefix}_PORT_${variableName(name)}`] = String(binding.localPort);
  }
  return variables;
}

/** HTTPS_PROXY stays unset: a tunnel would hide from the mesh what it is to route. */
function proxyVariables(outbound: readonly OutboundBinding[]): Record<string, string> {
  const proxy = outbound.find(({ service }) => service === forwardProxy);
  if (proxy === undefined) return {};
  const url = `http://${proxy.address}:${proxy.localPort}`;
  return { HTTP_PROXY: url, http_proxy: url, NO_PROXY: noProxy, no_proxy: noProxy };
}

function portVariables(ports: AppEnvOptions['ports']): Record<string, string> {
  const [first] = ports;
  if (first === undefined) return {};
  const named = ports.map(({ name, app }) => [`PORT_${variableName(name)}`, String(app)]);
  return { PORT: String(first.app), ...Object.fromEntries(named) };
}

function variableName(text: string): string {
  return text.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_');
}
