/**
 * The switch from HTTP to opaque octets: however a client cuts its bytes around an Upgrade or CONNECT, and
 * whatever it sends early, the upstream must get exactly the octets after the request's head, once and in
 * order, and the client exactly what came back. The second octet says how the upstream answers.
 */
import { HeaderList } from '@sluice/wire';
import type { ResponseSink, UpstreamRequest, UpstreamStream } from './streams.ts';
import { testEndpoint } from './test-doubles.ts';
import { fuzzConnection } from './test-fuzz-connection.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');

/** Switches and echoes; or declines with an answer, after which requests go on. */
class TunnelUpstream implements UpstreamStream {
  readonly endpoint = testEndpoint(1);
  readonly localAddress = '';
  readonly tls = null;
  readonly isReused = false;
  readonly isWritable = true;
  readonly queuedBytes = 0;
  readonly received: Uint8Array[] = [];
  isTunnel = false;
  #sink: ResponseSink | null;
  readonly #declines: boolean;
  readonly #headers = new HeaderList();

  constructor(sink: ResponseSink, declines: boolean) {
    this.#sink = sink;
    this.#declines = declines;
  }
  sendHead(request: UpstreamRequest, isEnd: boolean): void {
    const isAsked = request.upgrade !== '';
    if (isAsked && !this.#declines) {
      this.isTunnel = true;
      if (request.upgrade !== 'connect') this.#headers.append('upgrade', request.upgrade);
      const status = request.upgrade === 'connect' ? 200 : 101;
      this.#sink?.onResponseHead({ status, headers: this.#headers, contentLength: -1 }, false);
    } else if (isEnd || isAsked) this.#answer();
  }
  sendData(data: Uint8Array, start: number, end: number): void {
    if (!this.isTunnel) return;
    const copy = data.slice(start, end);
    this.received.push(copy);
    this.#sink?.onResponseData(copy, 0, copy.length);
  }
  sendEnd(): void {
    if (this.isTunnel) this.#sink?.onResponseEnd(null);
    else this.#answer();
  }
  consumed(): void {}
  release(): void {
    this.#sink = null;
  }
  #answer(): void {
    const sink = this.#sink;
    this.#sink = null;
    sink?.onResponseHead({ status: 200, headers: this.#headers, contentLength: 0 }, true);
    sink?.onResponseEnd(null);
  }
}

function run(input: Uint8Array): void {
  const declines = (input[1] ?? 0) % 4 === 3;
  const streams: TunnelUpstream[] = [];
  const framed = Uint8Array.from([input[0] ?? 0, ...input.subarray(2)]);
  const connection = fuzzConnection(
    framed,
    (sink) => {
      const stream = new TunnelUpstream(sink, declines);
      streams.push(stream);
      return stream;
    },
    { isForwardProxy: true, upgrades: new Map(['websocket', 'connect', 'x'].map((name) => [name, true])) },
  );
  const tunnels = streams.filter((stream) => stream.isTunnel);
  if (tunnels.length > 1) throw new Error('a connection became a tunnel twice');
  const [tunnel] = tunnels;
  if (tunnel === undefined) return;
  if (tunnel !== streams.at(-1)) throw new Error('a request was read out of a tunnel');
  const sent = Buffer.from(framed.subarray(1));
  const carried = Buffer.concat(tunnel.received);
  if (!sent.subarray(sent.length - carried.length).equals(carried))
    throw new Error('the tunnel carried other octets than the last ones of the client');
  const headEnd = sent.length - carried.length;
  if (carried.length > 0 && !/\n\r?\n$/.test(sent.subarray(0, headEnd).toString('latin1')))
    throw new Error('the tunnel did not begin behind a head');
  if (!connection.text().endsWith(carried.toString('latin1')))
    throw new Error('the client got other octets than the tunnel sent back');
}

export default {
  name: 'proxy/tunnel switch',
  seeds(): Uint8Array[] {
    const upgrade = 'GET /chat HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n';
    return [
      `${upgrade}early octets`,
      `GET / HTTP/1.1\r\nHost: a\r\n\r\n${upgrade}GET / HTTP/1.1\r\nHost: a\r\n\r\n`,
      'CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n\x16\x03\x01xyz',
      'POST /u HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\nContent-Length: 3\r\n\r\nabcdef',
    ].flatMap((text) => ['\0\0', '\x06\0', '\x07\x03'].map((how) => bytes(`${how}${text}`)));
  },
  run,
};
