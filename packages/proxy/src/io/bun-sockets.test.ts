import { bunSockets } from './bun-sockets.ts';
import { connectionSuite } from './connection.suite.ts';

connectionSuite('Bun sockets', (loop) => ({ sockets: bunSockets(loop), ready: () => Promise.resolve() }));
