/**
 * A data path between scripted peers on loopback: real sockets, fake clock, no configuration side.
 * The upstream answers by a script per connection; the client is a raw socket whose bytes a test sees.
 */
import type { Socket } from 'bun';
import { createRandom, FakeClock, TimerWheel } from '@sluice/runtime';
import { turns } from '@sluice/testkit';
import type { Cluster, Endpoint } from '../cluster/cluster.ts';
import { httpChainOf } from '../filter/http-chain.ts';
import type { UpstreamHttpFilter } from '../filter/filter.ts';
import { bunSockets } from '../io/bun-sockets.ts';
import type { Connection, SocketListener, SocketProvider } from '../io/connection.ts';
import { IoLoop } from '../io/io-loop.ts';
import type { HttpManagerConfig, ListenerRuntime } from '../listener/listener.ts';
import type { CompiledRoute, RouteRequest } from '../route/route.ts';
import { createIdSource } from '../telemetry/request-id.ts';
import { createRequestRecord } from '../telemetry/request-record.ts';
import { factsOf } from '../tcp/connection-start.ts';
import { createConnector } from '../upstream/connector.ts';
import type { ExchangeServices, HttpBinding } from './exchange-services.ts';
import { HttpConnection } from './http-connection.ts';
import { createHttpDate } from './http-date.ts';
import {
  noEndStats,
  noManagerStats,
  RecordingLogger,
  testCluster,
  testEndpoint,
  testManager,
  type TestCluster,
} from './test-doubles.ts';

export class World {
  readonly clock = new FakeClock(1000);
  readonly wheel = new TimerWheel(this.clock);
  readonly errors: unknown[] = [];
  readonly loop = new IoLoop(this.wheel, (error) => this.errors.push(error));
  readonly sockets: SocketProvider;
  readonly clusters = new Map<string, Cluster>();
  readonly log = new RecordingLogger();
  readonly services: ExchangeServices;
  readonly connections = new Set<HttpConnection>();
  readonly accepted: Connection[] = [];
  /** Every connection that the proxy has opened. */
  readonly opened: Connection[] = [];
  isDraining = false;
  readonly tunnels = { opened: 0, closed: 0 };
  #listeners: SocketListener[] = [];
  #peers: { stop(force: boolean): unknown }[] = [];

  constructor() {
    this.clock.attach(this.wheel);
    const sockets = bunSockets(this.loop);
    this.sockets = {
      listen: (target, onAccept) => sockets.listen(target, onAccept),
      connect: (target, handler) => {
        const connection = sockets.connect(target, handler);
        this.opened.push(connection);
        return connection;
      },
    };
    const random = createRandom('world');
    this.services = {
      timers: this.wheel,
      clock: this.loop.clock,
      random,
      draw: () => random.next(),
      upstream: createConnector({
        sockets: this.sockets,
        timers: this.wheel,
        clock: this.loop.clock,
        random,
      }),
      ids: createIdSource(random),
      date: createHttpDate(this.clock),
      newRecord: () => createRequestRecord(),
      reportError: (error) => this.errors.push(error),
      findCluster: (name) => this.clusters.get(name) ?? null,
    };
  }

  /** An HTTP listener whose every request meets `match`; returns its port. */
  listen(
    match: (request: RouteRequest) => CompiledRoute | null,
    more: Partial<HttpManagerConfig> = {},
    upstreamFilters: readonly UpstreamHttpFilter[] = [],
  ): number {
    const config = testManager(match, { accessLoggers: [this.log], ...more });
    const binding: HttpBinding = {
      config,
      listener: { name: 'test', trafficDirection: 'OUTBOUND' } as ListenerRuntime,
      chain: httpChainOf(config.filters),
      upstreamFilters,
      metrics: { onRequestStart() {}, onRequestEnd() {} },
      connectionStats: {
        ...noEndStats,
        upgradeOpened: () => void this.tunnels.opened++,
        upgradeClosed: () => void this.tunnels.closed++,
      },
      http2Stats: { count() {}, streamOpened() {}, streamClosed() {} },
      isDraining: () => this.isDraining,
    };
    const listener = this.sockets.listen(
      { bind: { address: '127.0.0.1', port: 0 }, highWaterBytes: 65_536 },
      (connection) => {
        const served = new HttpConnection(
          connection,
          factsOf(connection),
          binding,
          noManagerStats,
          this.services,
          () => this.connections.delete(served),
        );
        this.connections.add(served);
        this.accepted.push(connection);
        connection.handler = served;
      },
    );
    this.#listeners.push(listener);
    return listener.port;
  }

  /** A scripted upstream; its endpoint is `127.0.0.1:port`. */
  upstream(script: UpstreamScript): ScriptedUpstream {
    return this.owns(new ScriptedUpstream(script));
  }

  /** A peer of another kind, which ends with the world. */
  owns<T extends { stop(force: boolean): unknown }>(peer: T): T {
    this.#peers.push(peer);
    return peer;
  }

  cluster(name: string, ports: readonly (number | Endpoint)[], more: Partial<Cluster> = {}): TestCluster {
    const cluster = testCluster(
      name,
      ports.map((port) => (typeof port === 'number' ? testEndpoint(port) : port)),
      more,
    );
    this.clusters.set(name, cluster);
    return cluster;
  }

  /** Moves the clock in steps until the condition holds, letting sockets run between steps. */
  async advanceUntil(condition: () => boolean, stepMs = 10): Promise<void> {
    for (let i = 0; !condition(); i++) {
      if (i > 5000) throw new Error('never happened');
      this.clock.advance(stepMs);
      await turns();
    }
  }

  /** The last connection that the proxy has opened. */
  connected(): Connection {
    return this.opened.at(-1)!;
  }

  async client(port: number): Promise<RawClient> {
    const client = new RawClient();
    await client.connect(port);
    return this.owns(client);
  }

  close(): void {
    for (const listener of this.#listeners) listener.stop();
    for (const connection of this.accepted) connection.terminate();
    for (const peer of this.#peers) peer.stop(true);
  }
}

/** What an upstream does with what it receives; `text` is all that this connection has received so far. */
export type UpstreamScript = (peer: UpstreamPeer, text: string, connectionNumber: number) => void;

export interface UpstreamPeer {
  readonly socket: Socket<PeerState>;
  send(text: string | Uint8Array): void;
  end(): void;
  reset(): void;
  /** Forgets what was received: the next request begins at an empty text. */
  clear(): void;
}

interface PeerState {
  text: string;
  number: number;
  peer: UpstreamPeer;
  queue: Uint8Array[];
}

export class ScriptedUpstream {
  readonly port: number;
  connectionCount = 0;
  openCount = 0;
  receivedBytes = 0;
  /** All that any connection has received. */
  texts: string[] = [];
  readonly #server: Bun.TCPSocketListener<PeerState>;
  readonly #waits: (() => void)[] = [];

  constructor(script: UpstreamScript) {
    const wake = (): void => {
      for (const done of this.#waits.splice(0)) done();
    };
    const flush = (socket: Socket<PeerState>): void => {
      const { queue } = socket.data;
      while (queue.length > 0) {
        const sent = socket.write(queue[0]!);
        if (sent < queue[0]!.length) {
          queue[0] = queue[0]!.subarray(Math.max(0, sent));
          return;
        }
        queue.shift();
      }
    };
    this.#server = Bun.listen<PeerState>({
      hostname: '127.0.0.1',
      port: 0,
      allowHalfOpen: true,
      socket: {
        open: (socket) => {
          this.connectionCount++;
          this.openCount++;
          const peer: UpstreamPeer = {
            socket,
            send: (data) => {
              socket.data.queue.push(Buffer.from(data as string));
              flush(socket);
            },
            end: () => void socket.shutdown(),
            reset: () => socket.terminate(),
            clear: () => {
              socket.data.text = '';
            },
          };
          socket.data = { text: '', number: this.connectionCount, peer, queue: [] };
          this.texts.push('');
          wake();
        },
        data: (socket, data) => {
          this.receivedBytes += data.length;
          const { number, peer } = socket.data;
          socket.data.text += data.toString('latin1');
          this.texts[number - 1] += data.toString('latin1');
          script(peer, socket.data.text, number);
          wake();
        },
        drain: flush,
        end: (socket) => {
          socket.end();
          wake();
        },
        close: () => {
          this.openCount--;
          wake();
        },
        error: () => {},
      },
    });
    this.port = this.#server.port;
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((done) => this.#waits.push(done));
  }

  stop(force: boolean): void {
    this.#server.stop(force);
  }
}

/** Answers each complete bodiless request with `reply`. */
export function answering(reply: string): UpstreamScript {
  return (peer, text) => {
    const count = text.split('\r\n\r\n').length - 1;
    if (count === 0) return;
    peer.clear();
    for (let i = 0; i < count; i++) peer.send(reply);
  };
}

export function reply(body: string, head = 'HTTP/1.1 200 OK'): string {
  return `${head}\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
}

export class RawClient {
  text = '';
  receivedBytes = 0;
  isEnded = false;
  isClosed = false;
  wasReset = false;
  #socket: Socket<undefined> | null = null;
  #waits: (() => void)[] = [];
  #queue: Uint8Array[] = [];

  async connect(port: number): Promise<void> {
    const wake = (): void => {
      for (const done of this.#waits.splice(0)) done();
    };
    this.#socket = await Bun.connect<undefined>({
      hostname: '127.0.0.1',
      port,
      allowHalfOpen: true,
      socket: {
        data: (_socket, data) => {
          this.receivedBytes += data.length;
          if (this.text.length < 4_000_000) this.text += data.toString('latin1');
          wake();
        },
        drain: () => this.#flush(),
        end: () => {
          this.isEnded = true;
          wake();
        },
        close: (_socket, error) => {
          this.isClosed = true;
          this.wasReset = error !== undefined && error !== null;
          wake();
        },
        error: () => {},
      },
    });
  }

  send(data: string | Uint8Array): void {
    this.#queue.push(Buffer.from(data as string));
    this.#flush();
  }
  end(): void {
    this.#socket!.shutdown();
  }
  reset(): void {
    this.#socket!.terminate();
  }
  pause(): void {
    this.#socket!.pause();
  }
  resume(): void {
    this.#socket!.resume();
  }
  stop(): void {
    this.#socket?.terminate();
  }
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.isClosed)
        throw new Error(`the connection ended first; received: ${JSON.stringify(this.text.slice(0, 2000))}`);
      await new Promise<void>((done) => this.#waits.push(done));
    }
  }
  async untilClosed(): Promise<void> {
    while (!this.isClosed && !this.isEnded) await new Promise<void>((done) => this.#waits.push(done));
  }
  /** Waits for a whole response with a Content-Length (or none) and takes it off. */
  async response(): Promise<{ status: number; head: string; body: string }> {
    await this.until(() => this.text.includes('\r\n\r\n'));
    const headEnd = this.text.indexOf('\r\n\r\n');
    const head = this.text.slice(0, headEnd);
    const status = Number(head.split(' ')[1]);
    const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
    await this.until(() => this.text.length >= headEnd + 4 + length);
    const body = this.text.slice(headEnd + 4, headEnd + 4 + length);
    this.text = this.text.slice(headEnd + 4 + length);
    return { status, head, body };
  }

  #flush(): void {
    while (this.#queue.length > 0) {
      const sent = this.#socket!.write(this.#queue[0]!);
      if (sent < this.#queue[0]!.length) {
        this.#queue[0] = this.#queue[0]!.subarray(Math.max(0, sent));
        return;
      }
      this.#queue.shift();
    }
  }
}
