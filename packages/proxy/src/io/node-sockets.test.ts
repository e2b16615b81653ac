import { connectionSuite, type ProviderUnderTest } from './connection.suite.ts';
import type { IoLoop } from './io-loop.ts';
import { nodeSockets } from './node-sockets.ts';
import { tlsConnectionSuite } from './tls-connection.suite.ts';

const create = (loop: IoLoop): ProviderUnderTest => {
  const sockets = nodeSockets(loop);
  return { sockets, ready: (listener) => sockets.ready(listener) };
};

connectionSuite('node:net sockets', create);
connectionSuite('node:net sockets above TLS', create, true);
tlsConnectionSuite('node:net sockets', create);
