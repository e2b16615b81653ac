/** The messages that bring a new loop to the present, in the order of dependence. */
import type { ToLoop } from '../data-loop.ts';

export class LiveMessages {
  readonly #secrets = new Map<string, ToLoop>();
  readonly #clusters = new Map<string, ToLoop>();
  readonly #endpoints = new Map<string, ToLoop>();
  readonly #routes = new Map<string, ToLoop>();
  readonly #hosts = new Map<string, Map<string, ToLoop>>();
  readonly #listeners = new Map<string, ToLoop>();
  readonly #levels = new Map<string, ToLoop>();

  remember(message: ToLoop): void {
    switch (message.kind) {
      case 'putSecret':
        return void this.#secrets.set(message.name, message);
      case 'removeSecret':
        return void this.#secrets.delete(message.name);
      case 'putCluster':
        return void this.#clusters.set(message.cluster.name, message);
      case 'removeCluster':
        // Endpoints under another (EDS) name stay: another cluster may share them, and extra ones are inert.
        this.#endpoints.delete(message.name);
        return void this.#clusters.delete(message.name);
      case 'putEndpoints':
        return void this.#endpoints.set(message.assignment.clusterName, message);
      case 'putRoutes':
        return void this.#routes.set(message.routes.name, message);
      case 'removeRoutes':
        this.#hosts.delete(message.name);
        return void this.#routes.delete(message.name);
      case 'putVirtualHost':
        return void this.#hostsOf(message.table).set(message.host.name, message);
      case 'removeVirtualHost':
        return void this.#hostsOf(message.table).delete(message.host);
      case 'putListener':
        return void this.#listeners.set(message.listener.name, message);
      case 'removeListener':
        return void this.#listeners.delete(message.name);
      case 'setLogLevel':
        return void this.#levels.set(message.component, message);
      default:
        return undefined;
    }
  }

  *inOrder(): Iterable<ToLoop> {
    yield* this.#levels.values();
    yield* this.#secrets.values();
    yield* this.#clusters.values();
    yield* this.#endpoints.values();
    yield* this.#routes.values();
    for (const hosts of this.#hosts.values()) yield* hosts.values();
    yield* this.#listeners.values();
  }

  #hostsOf(table: string): Map<string, ToLoop> {
    let hosts = this.#hosts.get(table);
    if (hosts === undefined) this.#hosts.set(table, (hosts = new Map()));
    return hosts;
  }
}
