/** Starts real proxy processes for tests: bootstrap in, base URLs out, ended when the test ends. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeTempDir, onCleanUp, waitFor } from '@sluice/testkit';

export interface StartedProxy {
  readonly process: Bun.Subprocess<'ignore', 'pipe', 'pipe'>;
  /** Address of a listener, once the log has told it. */
  address(listener: string): Promise<string>;
  admin(path: string, method?: string): Promise<Response>;
  /** Everything on standard error so far. */
  log(): string;
  output(): string;
  ready(): Promise<void>;
}

/** `within`: a command that starts it, such as `ip netns exec NAME`. */
export function startProxy(
  bootstrap: object,
  args: readonly string[] = [],
  within: readonly string[] = [],
): StartedProxy {
  const file = join(makeTempDir(), 'bootstrap.json');
  const withAdmin = {
    admin: { address: { socket_address: { address: '127.0.0.1', port_value: 0 } } },
    ...bootstrap,
  };
  writeFileSync(file, JSON.stringify(withAdmin));
  const main = join(import.meta.dir, 'main.ts');
  const child = Bun.spawn([...within, process.execPath, main, '-c', file, '--drain-time-s', '5', ...args], {
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  });
  onCleanUp(() => void child.kill('SIGKILL'));
  const log = collect(child.stderr);
  const output = collect(child.stdout);
  const found = async (pattern: RegExp): Promise<string> => {
    await waitFor(() => pattern.test(log.text));
    return pattern.exec(log.text)?.[1] ?? '';
  };
  return {
    process: child,
    address: (listener) => found(new RegExp(`listening\\tlistener=${listener} address=(\\S+)`)),
    admin: async (path, method = 'GET') =>
      fetch(`http://${await found(/admin\taddress=(\S+)/)}${path}`, { method }),
    log: () => log.text,
    output: () => output.text,
    ready: async () => void (await found(/(ready)\tafterMs/)),
  };
}

function collect(stream: ReadableStream<Uint8Array>): { readonly text: string } {
  const collected = { text: '' };
  void (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of stream) collected.text += decoder.decode(chunk, { stream: true });
  })();
  return collected;
}

const typed = 'type.googleapis.com/envoy.extensions.filters';

/** A listener on a free loopback port with routes of its own. */
export function httpListener(name: string, routes: object, port = 0): object {
  return {
    name,
    address: { socket_address: { address: '127.0.0.1', port_value: port } },
    filter_chains: [{ filters: [{ name: 'http', typed_config: httpManager(routes) }] }],
  };
}

export function httpManager(routes: object): object {
  return {
    '@type': `${typed}.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: 'test',
    ...routes,
    http_filters: [
      { name: 'envoy.filters.http.router', typed_config: { '@type': `${typed}.http.router.v3.Router` } },
    ],
  };
}

export function routeTo(cluster: string, name = 'local'): object {
  return {
    name,
    virtual_hosts: [
      { name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster } }] },
    ],
  };
}

export function staticCluster(name: string, ...ports: readonly number[]): object {
  return { name, type: 'STATIC', connect_timeout: '1s', load_assignment: assignment(name, ...ports) };
}

export function assignment(name: string, ...ports: readonly number[]): object {
  const lb_endpoints = ports.map((port_value) => ({
    endpoint: { address: { socket_address: { address: '127.0.0.1', port_value } } },
  }));
  return { cluster_name: name, endpoints: [{ lb_endpoints }] };
}
