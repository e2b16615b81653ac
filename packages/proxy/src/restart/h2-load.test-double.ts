/** HTTP/2 clients with prior knowledge that go to a new connection when told by GOAWAY, and try nothing again. */
import { connect, type ClientHttp2Session } from 'node:http2';
import type { Load } from './restart-load.test-double.ts';

export function startH2Load(port: number, clients: number): Load {
  const load = { answered: 0, failures: [] as string[], isStopping: false };
  const all = Array.from({ length: clients }, () => run(load, port));
  return {
    get answered() {
      return load.answered;
    },
    failures: load.failures,
    async stop() {
      load.isStopping = true;
      await Promise.all(all);
    },
  };
}

interface Counts {
  answered: number;
  readonly failures: string[];
  isStopping: boolean;
}

async function run(load: Counts, port: number): Promise<void> {
  let session: ClientHttp2Session | null = null;
  while (!load.isStopping) {
    if (session === null) {
      const fresh = connect(`http://127.0.0.1:${port}`);
      // What goes wrong shows in the request that it costs.
      fresh.on('error', () => undefined);
      const leave = (): void => {
        if (session === fresh) session = null;
      };
      fresh.on('goaway', () => {
        leave();
        fresh.close();
      });
      fresh.on('close', leave);
      session = fresh;
    }
    const outcome = await request(session);
    if (outcome === 200) load.answered++;
    else load.failures.push(String(outcome));
  }
  session?.close();
}

function request(session: ClientHttp2Session): Promise<number | string> {
  const { promise, resolve } = Promise.withResolvers<number | string>();
  const stream = session.request({ ':path': '/' });
  let status = 0;
  stream.on('response', (headers) => (status = Number(headers[':status'])));
  stream.on('error', (error) => resolve(error.message));
  stream.on('close', () => resolve(status === 0 ? 'closed without an answer' : status));
  stream.resume();
  stream.end();
  return promise;
}
