/**
 * One TCP connection as a request to an HTTP proxy (TcpProxy.tunneling_config): CONNECT, or POST with the bytes as its
 * body, in HTTP/1.1 or HTTP/2 as the cluster speaks, on a connection of its pools.
 *
 *   opening ──► asked ──2xx──► open ──end either way──► open ──both──► over
 *      └──────────┴──another answer, or none──► failed
 *
 * The proxy's answer comes before anything is sent or read: what it does not take has provably gone nowhere.
 * Invariant: after `terminate`, `onTunnelFailed` or `onClose` neither the stream nor the owner hears of it again.
 */
import { HeaderList } from '@sluice/wire';
import { applyHeaderOperations } from '../filter/header-operations.ts';
import type { Cluster, Endpoint } from '../cluster/cluster.ts';
import type {
  ResponseMessage,
  ResponseSink,
  StreamWish,
  UpstreamConnector,
  UpstreamRequest,
  UpstreamReset,
  UpstreamStream,
} from '../http/streams.ts';
import type { CloseCause } from '../io/connection.ts';
import type { TlsFacts } from '../io/tls-facts.ts';
import type { ConnectionFacts } from '../listener/connection-facts.ts';
import type { TunnelConfig } from '../listener/listener.ts';
import type { FormatFacts } from '../route/route.ts';
import type { TcpSide, TunnelOwner } from './tcp-upstream.ts';

export class HttpTunnel implements ResponseSink, TcpSide {
  readonly #config: TunnelConfig;
  readonly #connector: UpstreamConnector;
  readonly #cluster: Cluster;
  readonly #endpoint: Endpoint;
  readonly #owner: TunnelOwner;
  readonly #facts: FormatFacts;
  readonly #wish: StreamWish;
  #authority = '';
  #stream: UpstreamStream | null = null;
  #isOpen = false;
  #isOver = false;
  #hasEnded = false;
  #hasPeerEnded = false;
  #hasBegunAnew = false;
  #owedBytes = 0;
  #acceptedBytes = 0;
  isPaused = false;

  constructor(
    config: TunnelConfig,
    connector: UpstreamConnector,
    target: { readonly cluster: Cluster; readonly endpoint: Endpoint },
    owner: TunnelOwner,
    downstream: { readonly connection: ConnectionFacts } & FormatFacts,
  ) {
    this.#config = config;
    this.#connector = connector;
    this.#cluster = target.cluster;
    this.#endpoint = target.endpoint;
    this.#owner = owner;
    this.#facts = downstream;
    // A cluster that speaks what its clients speak has none here that speaks HTTP: 1.1 it is, as in Envoy.
    this.#wish = {
      mayReuse: true,
      isTunnel: false,
      isH2: false,
      serverName: '',
      downstream: downstream.connection,
    };
  }

  /** The outcome may come before this returns. */
  open(): void {
    const { authority } = this.#config;
    this.#authority = typeof authority === 'string' ? authority : authority(this.#facts);
    if (!isAuthority(this.#authority))
      this.#fail('connect-failed', 'the hostname of the tunnel has no value that can be sent');
    else this.#ask();
  }

  #ask(): void {
    this.#connector.open(this.#cluster, this.#cluster.limits, this.#endpoint, this, this.#wish);
  }

  // --- from the proxy ---

  get isWritable(): boolean {
    return this.#stream !== null && this.#stream.isWritable;
  }
  get bufferedBytes(): number {
    return this.#isOpen && this.#stream !== null ? this.#stream.queuedBytes : 0;
  }
  get bytesWritten(): number {
    return this.#acceptedBytes - this.bufferedBytes;
  }
  get tls(): TlsFacts | null {
    return this.#stream?.tls ?? null;
  }
  get localAddress(): string {
    const local = this.#stream?.localAddress ?? '';
    return local.slice(0, Math.max(0, local.lastIndexOf(':')));
  }
  get localPort(): number {
    const local = this.#stream?.localAddress ?? '';
    return Number(local.slice(local.lastIndexOf(':') + 1)) || 0;
  }

  write(data: Uint8Array, start: number, end: number): void {
    if (this.#hasEnded || end === start) return;
    this.#acceptedBytes += end - start;
    this.#stream?.sendData(data, start, end);
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    if (!this.isPaused) return;
    this.isPaused = false;
    const owed = this.#owedBytes;
    this.#owedBytes = 0;
    if (owed > 0) this.#stream?.consumed(owed);
  }

  end(): void {
    if (this.#hasEnded || this.#isOver) return;
    this.#hasEnded = true;
    this.#stream?.sendEnd(null);
    if (this.#hasPeerEnded) this.#close('remote');
  }

  close(): void {
    // Before it is open there is nothing to end in order, and perhaps only a place among those who wait.
    if (!this.#isOpen) {
      this.terminate();
      return;
    }
    if (this.#isOver) return;
    if (!this.#hasEnded) {
      this.#hasEnded = true;
      this.#stream?.sendEnd(null);
    }
    if (!this.#isOver) this.#close('local');
  }

  terminate(): void {
    if (this.#isOver) return;
    if (this.#isOpen) {
      this.#close('local');
      return;
    }
    this.#isOver = true;
    const stream = this.#takeStream();
    if (stream !== null) stream.release();
    else {
      this.#cluster.stats.requestCancelled();
      this.#connector.cancel(this.#endpoint, this);
    }
  }

  // --- from the stream ---

  onUpstreamReady(stream: UpstreamStream): void {
    this.#stream = stream;
    this.#endpoint.stats.requests++;
    this.#cluster.stats.requestStarted();
    stream.sendHead(this.#request(stream), false);
  }

  onInformational(): void {
    // 1xx says nothing of the tunnel.
  }

  onResponseHead(response: ResponseMessage): void {
    if (this.#isOver) return;
    if (response.status < 200 || response.status > 299) {
      this.#fail('connect-failed', `the proxy answered ${this.#config.method} with ${response.status}`);
      return;
    }
    this.#isOpen = true;
    this.#owner.onConnect();
  }

  onResponseData(data: Uint8Array, start: number, end: number): void {
    const stream = this.#stream;
    if (stream === null || !this.#isOpen) return;
    const byteCount = end - start;
    this.#owner.onData(this, start === 0 && end === data.length ? data : data.subarray(start, end));
    if (this.isPaused) this.#owedBytes += byteCount;
    else if (!this.#isOver) stream.consumed(byteCount);
  }

  onResponseEnd(): void {
    if (this.#isOver || !this.#isOpen || this.#hasPeerEnded) return;
    this.#hasPeerEnded = true;
    this.#owner.onEnd(this);
    if (this.#hasEnded && !this.#isOver) this.#close('remote');
  }

  onUpstreamWritable(): void {
    if (this.#isOpen && !this.#isOver) this.#owner.onDrain(this);
  }

  onUpstreamReset(reset: UpstreamReset, detail: string): void {
    if (this.#isOver) return;
    const wasReused = this.#takeStream()?.isReused === true;
    if (this.#isOpen) {
      // Who has said everything may go; before that, it must not look complete.
      this.#close(this.#hasPeerEnded ? 'remote' : 'reset');
      return;
    }
    // Its idle end met our request, which it has not read: another connection may.
    if (wasReused && reset === 'connection-termination' && !this.#hasBegunAnew) {
      this.#hasBegunAnew = true;
      this.#wish.mayReuse = false;
      this.#ask();
      return;
    }
    this.#fail(reset, detail);
  }

  #request(stream: UpstreamStream): UpstreamRequest {
    const { method, path, headers } = this.#config;
    const authority = this.#authority;
    const list = new HeaderList();
    list.append('host', authority);
    applyHeaderOperations(list, headers, this.#facts);
    return {
      method,
      scheme: stream.tls === null ? 'http' : 'https',
      authority,
      path,
      headers: list,
      upgrade: method === 'CONNECT' ? 'connect' : '',
      needsWebSocketKey: false,
      contentLength: -1,
    };
  }

  /** Nothing is sent on it any more, and it counts no more. */
  #takeStream(): UpstreamStream | null {
    const stream = this.#stream;
    this.#stream = null;
    if (stream !== null) this.#cluster.stats.requestEnded(0, 0);
    return stream;
  }

  #fail(reset: UpstreamReset, detail: string): void {
    this.#isOver = true;
    this.#takeStream()?.release();
    this.#owner.onTunnelFailed(reset, detail);
  }

  #close(cause: CloseCause): void {
    this.#isOver = true;
    this.#takeStream()?.release();
    this.#owner.onClose(this, cause);
  }
}

/** What operators made of it may come from a peer (its SNI, its names): in a request line it must be nothing else. */
function isAuthority(text: string): boolean {
  return /^[!-~]+$/.test(text);
}
