/**
 * Listeners and route tables from arrival to service. A listener's sockets are bound when it is checked,
 * so that a taken port refuses the resource; it goes live (and its sockets listen) when the route tables
 * it names have come. What is refused changes nothing.
 */
import { TimerNode } from '@sluice/runtime';
import type { Listener, RouteConfiguration, UnhonouredReport, VirtualHost } from '@sluice/xds';
import type { ListenerManagerFacts } from '../telemetry/metrics/manager-stats.ts';
import { bindSocket, type ListenSocket, type ListenSpec } from '../workers/listen-socket.ts';
import { listenSpecs, specKey } from '../workers/listen-specs.ts';
import type { ActivationDeps } from './cluster-activation.ts';
import type { ResourceVersion } from './config-store.ts';
import { routeTablesOf } from './references.ts';
import { TableHosts } from './table-hosts.ts';
import { joined } from './verdict.ts';

export interface ListenerActivationDeps extends ActivationDeps {
  /** Hands descriptors of listening sockets to all loops. */
  listen(listener: string, sockets: readonly ListenSocket[]): void;
  unlisten(listener: string): void;
  /** The socket that the process before left us for this listener's address; null = it had none. */
  inherit(listener: string, spec: ListenSpec): ListenSocket | null;
  /** How long connections of a removed listener may take to end. */
  readonly drainMs: number;
  /** `host:port` of a socket that now listens, for the log. */
  listening(listener: string, address: string): void;
}

interface Held {
  /** As given: `message` has its files read in. */
  readonly given: Listener;
  readonly message: Listener;
  /** What the loops know it by. */
  readonly version: string;
  readonly record: ResourceVersion;
  readonly sockets: readonly ListenSocket[];
}

export class ListenerActivation {
  readonly #deps: ListenerActivationDeps;
  readonly #live = new Map<string, Held>();
  readonly #warming = new Map<string, Held>();
  readonly #timers = new Map<string, TimerNode>();
  readonly #changes = { added: 0, modified: 0, removed: 0 };
  #draining = 0;
  #createFailures = 0;
  #revision = 0;
  readonly #tables = new Map<string, TableHosts>();

  constructor(deps: ListenerActivationDeps) {
    this.#deps = deps;
  }

  get warmingNames(): readonly string[] {
    return [...this.#warming.keys()];
  }

  /** How many there are and what has become of them. */
  facts(): ListenerManagerFacts {
    return {
      active: this.#live.size,
      warming: this.#warming.size,
      draining: this.#draining,
      createFailures: this.#createFailures,
      ...this.#changes,
    };
  }

  wantedTables(): Set<string> {
    const names = new Set<string>();
    for (const held of [...this.#live.values(), ...this.#warming.values()]) {
      for (const { name } of routeTablesOf(held.message)) names.add(name);
    }
    return names;
  }

  /** Tables whose virtual hosts come by VHDS. */
  wantedHosts(): Set<string> {
    return new Set([...this.#tables].filter(([, { message }]) => isByVhds(message)).map(([name]) => name));
  }

  /** Sockets that listen now, with the listener's name. */
  sockets(): readonly { readonly listener: string; readonly socket: ListenSocket }[] {
    return [...this.#live.values()].flatMap((held) =>
      held.sockets.map((socket) => ({ listener: held.message.name, socket })),
    );
  }

  put(
    message: Listener,
    version: string,
    decoded: UnhonouredReport | null,
    isStatic: boolean,
  ): string | null {
    const { store, wallMs } = this.#deps;
    const { name } = message;
    const inlined = this.#deps.secrets.inline('listener', message, version, isStatic);
    const judged = this.#deps.checker.listener(inlined.message, decoded);
    let rejection = joined(inlined.rejection, judged.rejection);
    if (!isStatic && store.get('listener', name)?.isStatic === true) {
      rejection = 'a static listener of the bootstrap has this name';
    }
    const bound = rejection === null ? this.#bind(message) : [];
    if (typeof bound === 'string') {
      rejection = bound;
      this.#createFailures++;
    }
    if (rejection !== null || typeof bound === 'string') {
      const reason = rejection ?? '';
      store.change('listener', name, { rejected: { version, reason, atMs: wallMs() } });
      return reason;
    }
    if (judged.unhonoured.length > 0) this.#deps.warn('listener', name, judged.unhonoured);
    const record = { message, version, updatedMs: wallMs(), unhonoured: judged.unhonoured };
    store.change('listener', name, { isStatic, warming: record, rejected: null });
    const replaced = this.#warming.get(name);
    this.#countChange((replaced ?? this.#live.get(name))?.given, message);
    if (replaced !== undefined)
      this.#closeUnused(replaced.sockets, [...bound, ...(this.#live.get(name)?.sockets ?? [])]);
    this.#revision++;
    this.#warming.set(name, { ...inlined, given: message, record, sockets: bound });
    this.#warm(name);
    this.#deps.changed();
    return null;
  }

  remove(name: string): void {
    if (this.#deps.store.get('listener', name)?.isStatic === true) return;
    this.#disarm(name);
    this.#revision++;
    const live = this.#live.get(name);
    const warming = this.#warming.get(name);
    this.#live.delete(name);
    this.#warming.delete(name);
    if (live !== undefined || warming !== undefined) this.#changes.removed++;
    if (live !== undefined) {
      this.#sendRemoval(name);
      this.#deps.unlisten(name);
    }
    this.#closeUnused([...(live?.sockets ?? []), ...(warming?.sockets ?? [])], []);
    this.#deps.secrets.release('listener', name);
    this.#deps.store.remove('listener', name);
    this.#forgetTablesLater();
    this.#deps.changed();
  }

  putRoutes(message: RouteConfiguration, version: string, decoded: UnhonouredReport | null): string | null {
    const { store, wallMs } = this.#deps;
    const { name } = message;
    const judged = this.#deps.checker.routes(message, decoded);
    if (judged.rejection !== null) {
      store.change('routes', name, { rejected: { version, reason: judged.rejection, atMs: wallMs() } });
      return judged.rejection;
    }
    if (judged.unhonoured.length > 0) this.#deps.warn('routes', name, judged.unhonoured);
    const record = { message, version, updatedMs: wallMs(), unhonoured: judged.unhonoured };
    store.change('routes', name, { live: record, rejected: null });
    const before = this.#tables.get(name);
    // A table that takes the place of its like names nothing else than before.
    if (before === undefined || isByVhds(before.message) !== isByVhds(message)) this.#revision++;
    if (before === undefined) this.#tables.set(name, new TableHosts(message));
    else before.replace(message);
    this.#deps.send({ kind: 'putRoutes', version, part: 0, isLast: true, routes: message });
    for (const listener of this.#warming.keys()) this.#warm(listener);
    this.#deps.changed();
    return null;
  }

  removeRoutes(name: string): void {
    const table = this.#tables.get(name);
    if (table === undefined) return;
    this.#tables.delete(name);
    this.#revision++;
    for (const host of table.broughtNames) this.#deps.store.remove('virtualHost', `${name}/${host}`);
    this.#deps.store.remove('routes', name);
    this.#deps.send({ kind: 'removeRoutes', name });
  }

  /** `resource` is `table/host`, the name under which VHDS carries it. */
  putVirtualHost(
    resource: string,
    host: VirtualHost,
    version: string,
    decoded: UnhonouredReport | null,
  ): string | null {
    const { store, wallMs } = this.#deps;
    const table = tableOf(resource);
    const hosts = this.#tables.get(table);
    if (hosts === undefined) return `belongs to route table "${table}", which this proxy does not have`;
    const judged = this.#deps.checker.virtualHost(host, hosts, decoded);
    if (judged.rejection !== null) {
      store.change('virtualHost', resource, {
        rejected: { version, reason: judged.rejection, atMs: wallMs() },
      });
      return judged.rejection;
    }
    if (judged.unhonoured.length > 0) this.#deps.warn('virtualHost', resource, judged.unhonoured);
    hosts.put(host);
    const record = { message: host, version, updatedMs: wallMs(), unhonoured: judged.unhonoured };
    store.change('virtualHost', resource, { live: record, rejected: null });
    this.#deps.send({ kind: 'putVirtualHost', table, version, host });
    return null;
  }

  removeVirtualHost(resource: string): void {
    const entry = this.#deps.store.get('virtualHost', resource)?.live;
    if (entry == null) return;
    const table = tableOf(resource);
    const host = (entry.message as VirtualHost).name;
    this.#tables.get(table)?.remove(host);
    this.#deps.store.remove('virtualHost', resource);
    this.#deps.send({ kind: 'removeVirtualHost', table, host });
  }

  /** Listeners stop accepting and their connections end in order; the process goes on (/drain_listeners). */
  stopListening(inboundOnly: boolean): void {
    for (const [name, held] of this.#live) {
      if (inboundOnly && held.message.trafficDirection !== 'INBOUND') continue;
      this.#sendRemoval(name);
      this.#deps.unlisten(name);
      this.#closeUnused(held.sockets, []);
      this.#live.delete(name);
      this.#revision++;
    }
  }

  /** Stops listening for good: shutdown. The loops have been told to drain. */
  closeAll(): void {
    for (const held of [...this.#live.values(), ...this.#warming.values()])
      this.#closeUnused(held.sockets, []);
  }

  /** Sockets for the listener's addresses, those it has already included; words when one cannot be had. */
  #bind(message: Listener): ListenSocket[] | string {
    if (message.bindToPort === false) return [];
    const held = [
      ...(this.#live.get(message.name)?.sockets ?? []),
      ...(this.#warming.get(message.name)?.sockets ?? []),
    ];
    const sockets: ListenSocket[] = [];
    const made: ListenSocket[] = [];
    try {
      for (const spec of listenSpecs(message)) {
        const known = held.find((socket) => specKey(socket.spec) === specKey(spec));
        const socket = known ?? this.#deps.inherit(message.name, spec) ?? bindSocket(spec);
        if (known === undefined) made.push(socket);
        sockets.push(socket);
      }
      return sockets;
    } catch (error) {
      for (const socket of made) socket.close();
      return error instanceof Error ? error.message : String(error);
    }
  }

  /** A secret has come. */
  rewarm(): void {
    for (const name of this.#warming.keys()) this.#warm(name);
  }

  /** A file that the listener names was replaced. Returns why it cannot be taken, or null. */
  refresh(name: string): string | null {
    const held = this.#warming.get(name) ?? this.#live.get(name);
    if (held === undefined) return null;
    const isStatic = this.#deps.store.get('listener', name)?.isStatic === true;
    return this.put(held.given, held.record.version, null, isStatic);
  }

  /** What a warming listener waits for, in words. */
  waitingFor(name: string): string {
    const held = this.#warming.get(name);
    return (held === undefined ? undefined : this.#missing(held).words[0]) ?? 'its route table';
  }

  /** What is live, with its files read in. */
  liveMessages(): Listener[] {
    return [...this.#live.values()].map(({ message }) => message);
  }

  /** Rises when another set of resources is held: what was found in them is then looked for again. */
  get revision(): number {
    return this.#revision;
  }

  /** All that is held, as given. */
  messages(): Listener[] {
    return [...this.#live.values(), ...this.#warming.values()].map(({ given }) => given);
  }

  #warm(name: string): void {
    const held = this.#warming.get(name);
    if (held === undefined) return;
    const { timeoutsMs } = this.#missing(held);
    if (timeoutsMs.length === 0) return this.#activate(name, held);
    if (timeoutsMs.every((timeoutMs) => timeoutMs > 0)) this.#arm(name, Math.max(...timeoutsMs));
  }

  #missing(held: Held): { readonly words: readonly string[]; readonly timeoutsMs: readonly number[] } {
    const secrets = this.#deps.secrets.awaitedBy(held.given);
    const tables = routeTablesOf(held.message).filter((table) => !this.#tables.has(table.name));
    return {
      words: [
        ...secrets.map((secret) => `secret "${secret.name}"`),
        ...tables.map((table) => `route table "${table.name}"`),
      ],
      timeoutsMs: [...secrets, ...tables].map(({ fetchTimeoutMs }) => fetchTimeoutMs),
    };
  }

  #arm(name: string, timeoutMs: number): void {
    if (this.#timers.has(name)) return;
    const timer = new TimerNode(() => {
      this.#timers.delete(name);
      const held = this.#warming.get(name);
      if (held !== undefined) {
        this.#deps.wentWithout('listener', name, this.#missing(held).words);
        this.#activate(name, held);
      }
      this.#deps.changed();
    });
    this.#timers.set(name, timer);
    this.#deps.timers.arm(timer, timeoutMs);
  }

  #disarm(name: string): void {
    const timer = this.#timers.get(name);
    if (timer !== undefined) this.#deps.timers.disarm(timer);
    this.#timers.delete(name);
  }

  #activate(name: string, held: Held): void {
    this.#disarm(name);
    this.#warming.delete(name);
    const old = this.#live.get(name);
    this.#live.set(name, held);
    this.#revision++;
    const isMoved = old !== undefined && old.sockets.some((socket) => !held.sockets.includes(socket));
    if (isMoved) this.#sendRemoval(name);
    this.#deps.send({ kind: 'putListener', version: held.version, listener: held.message });
    const added =
      isMoved || old === undefined
        ? held.sockets
        : held.sockets.filter((socket) => !old.sockets.includes(socket));
    for (const socket of added) {
      socket.listen();
      this.#deps.listening(name, socket.label);
    }
    if (added.length > 0) this.#deps.listen(name, held.sockets);
    if (old !== undefined) {
      this.#closeUnused(old.sockets, held.sockets);
      this.#forgetTablesLater();
    }
    this.#deps.store.change('listener', name, { live: held.record, warming: null });
  }

  /** The loops let its connections end within the drain time. */
  #sendRemoval(name: string): void {
    this.#deps.send({ kind: 'removeListener', name });
    this.#draining++;
    this.#deps.timers.schedule(this.#deps.drainMs, () => void this.#draining--);
  }

  /** What comes again as it is, or had a file of it replaced, is no other listener. */
  #countChange(held: Listener | undefined, message: Listener): void {
    if (held === undefined) this.#changes.added++;
    else if (!Bun.deepEquals(held, message)) this.#changes.modified++;
  }

  /** Connections of a listener that is gone still route by its table until they have drained. */
  #forgetTablesLater(): void {
    this.#deps.timers.schedule(this.#deps.drainMs, () => {
      const wanted = this.wantedTables();
      for (const name of this.#tables.keys()) if (!wanted.has(name)) this.removeRoutes(name);
      this.#deps.changed();
    });
  }

  #closeUnused(sockets: readonly ListenSocket[], used: readonly ListenSocket[]): void {
    for (const socket of sockets) if (!used.includes(socket)) socket.close();
  }
}

function isByVhds(table: RouteConfiguration): boolean {
  return table.vhds !== undefined;
}

function tableOf(resource: string): string {
  const slash = resource.indexOf('/');
  return slash < 0 ? resource : resource.slice(0, slash);
}
