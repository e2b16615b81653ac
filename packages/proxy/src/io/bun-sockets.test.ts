import { bunSockets } from './bun-sockets.ts';
import { connectionSuite, type ProviderUnderTest } from './connection.suite.ts';
import type { IoLoop } from './io-loop.ts';
import { tlsConnectionSuite } from './tls-connection.suite.ts';

const create = (loop: IoLoop): ProviderUnderTest => ({
  sockets: bunSockets(loop),
  ready: () => Promise.resolve(),
});

connectionSuite('Bun sockets', create);
connectionSuite('Bun sockets above TLS', create, true);
tlsConnectionSuite('Bun sockets', create);
