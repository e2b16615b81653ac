/**
 * Members that Bun 1.4.5 has at run time and @types/bun 1.4.5 lacks. Each has a contract test
 * (`packages/proxy/src/io/bun-contract.test.ts`), because nothing else would notice that one went away.
 */
import 'bun';

declare module 'bun' {
  interface Socket<Data = undefined> {
    /** File descriptor of the socket. */
    readonly fd: number;
  }
  interface TCPSocketListener<Data = unknown> {
    /** File descriptor of the listening socket. */
    readonly fd: number;
  }
}
