/**
 * Scripted TCP servers on 127.0.0.1, port 0. A script is an async function over one connection, so a test
 * decides when each byte goes out: it awaits a promise that the test resolves ("delay on demand"), never a
 * sleep. What a script throws resets its connection and fails the test at `stop` or clean-up.
 */
import { onCleanUp } from './cleanup.ts';
import { PeerConnection, peerSocketHandlers } from './peer-connection.ts';

export type OriginScript = (connection: PeerConnection, index: number) => void | Promise<void>;

export interface Origin {
  readonly port: number;
  /** "127.0.0.1:port". */
  readonly address: string;
  /** Every connection accepted so far, in order. */
  readonly connections: readonly PeerConnection[];
  /** How many of them are open now. */
  readonly openCount: number;
  /** Stops accepting: new connects are refused, open connections go on. */
  stopAccepting(): void;
  /** Ends everything; throws what scripts threw. */
  stop(): void;
}

export function startOrigin(script: OriginScript, port = 0): Origin {
  const connections: PeerConnection[] = [];
  const errors: unknown[] = [];

  const run = async (connection: PeerConnection, index: number): Promise<void> => {
    try {
      await script(connection, index);
    } catch (error) {
      errors.push(error);
      connection.reset();
    }
  };

  const listener = Bun.listen<PeerConnection>({
    hostname: '127.0.0.1',
    port,
    allowHalfOpen: true,
    socket: {
      ...peerSocketHandlers,
      open(socket) {
        const connection = new PeerConnection();
        socket.data = connection;
        connection.attach(socket);
        void run(connection, connections.push(connection) - 1);
      },
    },
  });

  const stop = (): void => {
    forget();
    listener.stop();
    for (const connection of connections) connection.reset();
    if (errors.length > 0)
      throw new AggregateError(errors, `an origin's script failed: ${String(errors[0])}`);
  };
  const forget = onCleanUp(stop);

  return {
    port: listener.port,
    address: `127.0.0.1:${listener.port}`,
    connections,
    get openCount() {
      return connections.filter((connection) => connection.isOpen).length;
    },
    stopAccepting: () => listener.stop(),
    stop,
  };
}

/** Sends back what it receives, and ends when the peer ends. */
export function startEchoOrigin(): Origin {
  return startOrigin(async (connection) => {
    for (let chunk = await connection.read(); chunk !== undefined; chunk = await connection.read()) {
      await connection.write(chunk);
    }
    connection.end();
  });
}

/** Sends these bytes to whoever connects, without reading, and ends. */
export function startGreetingOrigin(greeting: Uint8Array | string): Origin {
  return startOrigin(async (connection) => {
    await connection.write(greeting);
    connection.end();
  });
}
