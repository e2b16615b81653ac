/** HTTP/2 peers of the runtime's own for tests of the data path: what comes in is written down, waits are for events. */
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';

export type H2Fields = Record<string, string | string[] | number | undefined>;

/** One request of a client: what has been seen of its answer. */
export class H2Call {
  readonly stream: http2.ClientHttp2Stream;
  status = 0;
  headers: H2Fields = {};
  trailers: H2Fields | null = null;
  readonly interim: number[] = [];
  body = '';
  receivedBytes = 0;
  hasEnded = false;
  isClosed = false;
  /** Of RST_STREAM, or 0. */
  resetCode = 0;
  #waits: (() => void)[] = [];

  constructor(stream: http2.ClientHttp2Stream, isReading: boolean) {
    this.stream = stream;
    stream.on('headers', (headers) => this.#note(() => this.interim.push(Number(headers[':status']))));
    stream.on('response', (headers) =>
      this.#note(() => {
        this.status = Number(headers[':status']);
        this.headers = headers as H2Fields;
      }),
    );
    stream.on('trailers', (trailers) => this.#note(() => (this.trailers = trailers as H2Fields)));
    stream.on('end', () => this.#note(() => (this.hasEnded = true)));
    stream.on('error', () => {});
    stream.on('close', () =>
      this.#note(() => {
        this.isClosed = true;
        this.resetCode = stream.rstCode ?? 0;
      }),
    );
    if (isReading) this.read();
  }

  /** Reads the body from now on. */
  read(): void {
    this.stream.on('data', (chunk: Buffer) =>
      this.#note(() => {
        this.receivedBytes += chunk.length;
        if (this.body.length < 1_000_000) this.body += chunk.toString('latin1');
      }),
    );
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.isClosed)
        throw new Error(`the stream ended first: status ${this.status}, code ${this.resetCode}`);
      await new Promise<void>((done) => this.#waits.push(done));
    }
  }

  /** The whole answer, or its reset. */
  async end(): Promise<this> {
    while (!this.isClosed) await new Promise<void>((done) => this.#waits.push(done));
    return this;
  }

  #note(what: () => void): void {
    what();
    for (const done of this.#waits.splice(0)) done();
  }
}

export interface H2CallOptions {
  readonly end?: boolean;
  readonly reads?: boolean;
  readonly trailers?: Readonly<Record<string, string>>;
}

export class H2TestClient {
  readonly session: http2.ClientHttp2Session;
  isClosed = false;
  readonly goAways: number[] = [];
  #waits: (() => void)[] = [];

  constructor(port: number, settings: http2.Settings = {}) {
    this.session = http2.connect(`http://127.0.0.1:${port}`, { settings });
    const wake = (): void => {
      for (const done of this.#waits.splice(0)) done();
    };
    this.session.on('error', wake);
    this.session.on('goaway', (code) => {
      this.goAways.push(code);
      wake();
    });
    this.session.on('remoteSettings', wake);
    this.session.on('close', () => {
      this.isClosed = true;
      wake();
    });
  }

  call(headers: H2Fields, { end = true, reads = true, trailers = {} }: H2CallOptions = {}): H2Call {
    const fields = { ':authority': 'a', ...headers } as http2.OutgoingHttpHeaders;
    const waitForTrailers = Object.keys(trailers).length > 0;
    const stream = this.session.request(fields, { endStream: end, waitForTrailers });
    stream.on('wantTrailers', () => stream.sendTrailers(trailers));
    return new H2Call(stream, reads);
  }

  /** A GET, to its end. */
  get(path = '/', headers: H2Fields = {}): Promise<H2Call> {
    return this.call({ ':path': path, ...headers }).end();
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((done) => this.#waits.push(done));
  }

  stop(): void {
    this.session.destroy();
  }
}

/** A request that an upstream has received. */
export interface H2Received {
  readonly stream: http2.ServerHttp2Stream;
  readonly headers: H2Fields;
  readonly connection: number;
}

export type H2Script = (received: H2Received) => void;

export class H2TestUpstream {
  port = 0;
  connectionCount = 0;
  openCount = 0;
  readonly requests: H2Fields[] = [];
  readonly sessions: http2.ServerHttp2Session[] = [];
  readonly #server: http2.Http2Server;
  #waits: (() => void)[] = [];

  constructor(script: H2Script, settings: http2.Settings = {}) {
    this.#server = http2.createServer({ settings });
    const numbers = new WeakMap<http2.Http2Session, number>();
    this.#server.on('session', (session) => {
      numbers.set(session, ++this.connectionCount);
      this.openCount++;
      this.sessions.push(session);
      session.on('error', () => {});
      session.on('close', () => {
        this.openCount--;
        this.#wake();
      });
      this.#wake();
    });
    this.#server.on('stream', (stream, headers) => {
      stream.on('error', () => {});
      this.requests.push(headers as H2Fields);
      script({
        stream: stream as http2.ServerHttp2Stream,
        headers: headers as H2Fields,
        connection: numbers.get(stream.session!) ?? 0,
      });
      this.#wake();
    });
  }

  async listen(): Promise<this> {
    await new Promise<void>((done) => this.#server.listen(0, '127.0.0.1', done));
    this.port = (this.#server.address() as AddressInfo).port;
    return this;
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((done) => this.#waits.push(done));
  }

  stop(): void {
    for (const session of this.sessions) session.destroy();
    this.#server.close();
  }

  #wake(): void {
    for (const done of this.#waits.splice(0)) done();
  }
}

/** Answers every request with 200 and its own body, trailers too. */
export const echo: H2Script = ({ stream }) => {
  stream.respond({ ':status': 200 }, { waitForTrailers: true });
  let trailers: http2.OutgoingHttpHeaders = {};
  stream.on('trailers', (received) => {
    trailers = Object.fromEntries(Object.entries(received).map(([name, value]) => [name, String(value)]));
  });
  stream.on('wantTrailers', () => stream.sendTrailers(trailers));
  stream.on('data', (chunk: Buffer) => stream.write(chunk));
  stream.on('end', () => stream.end());
};

export function answersWith(body: string, headers: H2Fields = {}): H2Script {
  return ({ stream }) => {
    stream.respond({ ':status': 200, ...headers } as http2.OutgoingHttpHeaders);
    stream.end(body);
  };
}
