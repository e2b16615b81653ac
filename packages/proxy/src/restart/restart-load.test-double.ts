/**
 * Clients that count every request which got no whole answer. Keep-alive clients reconnect where an answer
 * says `Connection: close`, others after each answer. A connection that ends where an answer was due is a
 * failure: nothing is tried again.
 */
import { connectPeer, type PeerConnection } from '@sluice/testkit';

export interface Load {
  readonly answered: number;
  readonly failures: readonly string[];
  /** Answers by who gave them (the body). */
  stop(): Promise<void>;
}

export function startLoad(port: number, keepAliveClients: number, closingClients: number): Load {
  const load = { answered: 0, failures: [] as string[], isStopping: false };
  const clients = [
    ...Array.from({ length: keepAliveClients }, () => run(load, port, true)),
    ...Array.from({ length: closingClients }, () => run(load, port, false)),
  ];
  return {
    get answered() {
      return load.answered;
    },
    failures: load.failures,
    async stop() {
      load.isStopping = true;
      await Promise.all(clients);
    },
  };
}

async function run(
  load: { answered: number; failures: string[]; isStopping: boolean },
  port: number,
  isKeepAlive: boolean,
): Promise<void> {
  let peer: PeerConnection | null = null;
  const request = `GET / HTTP/1.1\r\nHost: a\r\n${isKeepAlive ? '' : 'Connection: close\r\n'}\r\n`;
  while (!load.isStopping) {
    try {
      peer ??= await connectPeer(port);
      await peer.write(request);
      const head = await peer.readHead();
      const length = Number(/content-length: (\d+)/i.exec(head ?? '')?.[1] ?? Number.NaN);
      const body = head === undefined ? undefined : await peer.readExactly(length);
      if (head === undefined || body === undefined || !head.startsWith('HTTP/1.1 200')) {
        load.failures.push(head ?? 'the connection ended before an answer');
        peer = null;
        continue;
      }
      load.answered++;
      if (!isKeepAlive || /connection: close/i.test(head)) {
        peer.reset();
        peer = null;
      }
    } catch (error) {
      load.failures.push(String(error));
      peer = null;
    }
  }
  peer?.reset();
}
