import { connectionSuite } from './connection.suite.ts';
import { nodeSockets } from './node-sockets.ts';

connectionSuite('node:net sockets', (loop) => {
  const sockets = nodeSockets(loop);
  return { sockets, ready: (listener) => sockets.ready(listener) };
});
