/**
 * The HTTP servers of the main thread: admin (15000), and where asked for Prometheus (15090) and health
 * (15021). Flags decide; without one, the node's metadata does, in Istio's words, so that a bootstrap
 * written for Istio's sidecar opens the ports its scrapers and kubelets know.
 */
import type { Bootstrap } from '@sluice/xds';
import {
  serveAdmin,
  serveHealth,
  servePrometheus,
  type AdminServer,
  type BindAddress,
} from './admin/server.ts';
import type { AdminHandler } from './admin/pages.ts';
import type { AdminSource } from './admin/source.ts';
import type { CommandLine } from './command-line.ts';

export interface AdminServers {
  /** As clients reach it; null when the bootstrap asks for no admin. */
  readonly adminAddress: string | null;
  stop(): void;
}

export type Listening = (server: 'admin' | 'prometheus' | 'health', address: string) => void;

/** Throws when an address is taken, or admin's is not loopback. */
export async function startAdminServers(
  bootstrap: Bootstrap,
  options: Pick<CommandLine, 'prometheusAddress' | 'healthAddress'>,
  source: AdminSource,
  listening: Listening,
): Promise<AdminServers> {
  const servers: AdminServer[] = [];
  const start = async (
    name: Parameters<Listening>[0],
    bind: BindAddress | null,
    serve: (bind: BindAddress) => Promise<AdminServer>,
  ): Promise<string | null> => {
    if (bind === null) return null;
    const server = await serve(bind);
    servers.push(server);
    const address = bind.kind === 'unix' ? bind.path : `${bind.address}:${server.port}`;
    listening(name, address);
    return address;
  };
  const adminAddress = await start('admin', adminBind(bootstrap), (bind) =>
    serveAdmin(bind, adminHandler(source)),
  );
  const prometheus = options.prometheusAddress ?? portOfNode(bootstrap, 'ENVOY_PROMETHEUS_PORT');
  await start('prometheus', prometheus, (bind) => servePrometheus(bind, source));
  const health = options.healthAddress ?? portOfNode(bootstrap, 'ENVOY_STATUS_PORT');
  await start('health', health, (bind) => serveHealth(bind, source));
  return {
    adminAddress,
    stop() {
      for (const server of servers) void server.stop();
    },
  };
}

/** The pages are loaded when somebody asks for one: most sidecars are never looked at. */
function adminHandler(source: AdminSource): AdminHandler {
  let handler: AdminHandler | null = null;
  return async (request) => {
    const { createAdminHandler } = await import('./admin/pages.ts');
    handler ??= createAdminHandler(source, () => process.memoryUsage());
    return handler(request);
  };
}

function adminBind(bootstrap: Bootstrap): BindAddress | null {
  const { socketAddress, pipe } = bootstrap.admin?.address ?? {};
  if (pipe !== undefined) return { kind: 'unix', path: pipe.path };
  if (socketAddress === undefined) return null;
  return { kind: 'tcp', address: socketAddress.address, port: socketAddress.portValue ?? 0 };
}

/** On every address, as Istio's sidecars listen: who asks comes from another host. */
function portOfNode(bootstrap: Bootstrap, key: string): BindAddress | null {
  const port = Number(bootstrap.node?.metadata?.[key] ?? NaN);
  const isPort = Number.isInteger(port) && port > 0 && port < 65_536;
  return isPort ? { kind: 'tcp', address: '0.0.0.0', port } : null;
}
