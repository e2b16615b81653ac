/** Clients that do everything wrong, some at a time, each kind counted. */
import { connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';

export interface Chaos {
  stop(): Readonly<Record<string, number>>;
}

const atATime = 40;

type Mischief = (ports: { readonly plainPort: number; readonly tlsPort: number }) => Promise<void>;

export function startChaos(ports: { readonly plainPort: number; readonly tlsPort: number }): Chaos {
  const counts: Record<string, number> = {};
  let isOver = false;
  const names = Object.keys(mischiefs);
  for (let i = 0; i < atATime; i++) void keepOn();
  return {
    stop() {
      isOver = true;
      return counts;
    },
  };

  async function keepOn(): Promise<void> {
    while (!isOver) {
      const name = names[Math.floor(Math.random() * names.length)] ?? '';
      counts[name] = (counts[name] ?? 0) + 1;
      await mischiefs[name]?.(ports).catch(() => undefined);
      await Bun.sleep(Math.random() * 100);
    }
  }
}

const mischiefs: Readonly<Record<string, Mischief>> = {
  'garbage on the plain port': ({ plainPort }) => send(plainPort, garbage(), 200),
  'garbage on the TLS port': ({ tlsPort }) => send(tlsPort, garbage(), 200),
  'half a TLS handshake': ({ tlsPort }) => send(tlsPort, hello().subarray(0, 1 + Math.random() * 100), 500),
  'a handshake reset at once': ({ tlsPort }) => send(tlsPort, hello(), Math.random() * 5),
  'half a request': ({ plainPort }) => send(plainPort, Buffer.from('GET / HTTP/1.1\r\nHo'), 1_000),
  'reset in an answer': ({ plainPort }) => send(plainPort, request('/'), Math.random() * 3),
  'an upload that breaks off': ({ plainPort }) =>
    send(plainPort, Buffer.concat([Buffer.from(upload), Buffer.alloc(100_000)]), Math.random() * 20),
  'an upstream that breaks off': ({ plainPort }) => send(plainPort, request('/break/'), 300),
  'a reader that stalls': ({ plainPort }) => stall(plainPort),
  'pipelined requests, unread': ({ plainPort }) =>
    send(plainPort, Buffer.concat(Array.from({ length: 200 }, () => request('/'))), 300),
  'HTTP/2 streams reset': ({ plainPort }) => resetStreams(plainPort),
  'HTTP/2 preface and garbage': ({ plainPort }) =>
    send(plainPort, Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), garbage()]), 300),
};

const upload = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n';

function request(path: string): Buffer {
  return Buffer.from(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
}

function garbage(): Buffer {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(1 + Math.floor(Math.random() * 4_000))));
}

/** The head of a ClientHello; what follows is noise. */
function hello(): Buffer {
  return Buffer.concat([Buffer.from('16030100f8010000f40303', 'hex'), garbage().subarray(0, 300)]);
}

/** Sends, reads whatever comes, and resets after `afterMs`. */
function send(port: number, bytes: Uint8Array, afterMs: number): Promise<void> {
  return visit(port, (socket) => {
    socket.write(bytes);
    socket.resume();
    setTimeout(() => socket.resetAndDestroy(), afterMs);
  });
}

/** Asks for much, reads nothing for seconds. */
function stall(port: number): Promise<void> {
  return visit(port, (socket) => {
    socket.pause();
    socket.write(Buffer.concat(Array.from({ length: 60 }, () => request('/'))));
    setTimeout(() => socket.resetAndDestroy(), 3_000);
  });
}

function visit(port: number, onOpen: (socket: Socket) => void): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => onOpen(socket));
    socket.on('error', () => undefined);
    socket.once('close', () => resolve());
  });
}

function resetStreams(port: number): Promise<void> {
  return new Promise((resolve) => {
    const session = connectHttp2(`http://127.0.0.1:${port}`);
    session.on('error', () => undefined);
    session.once('close', () => resolve());
    for (let i = 0; i < 30; i++) {
      const stream = session.request({ ':path': '/h2/' });
      stream.on('error', () => undefined);
      stream.close();
    }
    setTimeout(() => session.destroy(), 300);
  });
}
