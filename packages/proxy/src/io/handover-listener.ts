/**
 * The old process's end of a hot restart: a Unix socket in Linux' abstract namespace, on which the next
 * process of the same user asks line by line. An abstract name has no permissions and anybody of the
 * network namespace may connect, so who it is is asked of the kernel before a word is read.
 */
import type { Socket } from 'bun';
import { encodeAddress } from '../workers/sockaddr.ts';
import { descriptorPassing, type PeerCredentials } from './descriptor-passing.ts';
import { AF_UNIX, libc, platform } from './libc.ts';

export interface HandoverSession {
  /** One line of text, with descriptors that stay ours too. False when the peer is gone or does not read. */
  reply(line: string, descriptors: readonly number[]): boolean;
  readonly peer: PeerCredentials;
}

export interface HandoverListenerHandler {
  onLine(session: HandoverSession, line: string): void;
  onClose(session: HandoverSession): void;
  /** Somebody of another user connected and was turned away. */
  onStranger(peer: PeerCredentials | null): void;
}

export interface HandoverListener {
  stop(): void;
}

interface Peer {
  readonly session: HandoverSession;
  text: string;
}

/** A line of a request; longer ones end the session. */
const MAX_LINE_CHARACTERS = 4_096;
const BACKLOG = 4;

/** `name` without the leading NUL. Null when another process has the name; throws when it cannot be had otherwise. */
export function listenForHandover(name: string, handler: HandoverListenerHandler): HandoverListener | null {
  const target = encodeAddress(`@${name}`, 0);
  if (target === null) throw new Error(`the name "${name}" does not fit into a socket address`);
  const fd = libc().socket(AF_UNIX);
  if (fd < 0) throw new Error(`cannot make a Unix socket: error ${libc().errno()}`);
  if (libc().bind(fd, target.bytes) !== 0) {
    const code = libc().errno();
    libc().close(fd);
    if (code === platform.EADDRINUSE) return null;
    throw new Error(`cannot bind the Unix socket "${name}": error ${code}`);
  }
  if (libc().listen(fd, BACKLOG) !== 0) {
    const code = libc().errno();
    libc().close(fd);
    throw new Error(`cannot listen on the Unix socket "${name}": error ${code}`);
  }
  return adopt(fd, handler);
}

function adopt(fd: number, handler: HandoverListenerHandler): HandoverListener {
  const options = {
    fd,
    socket: {
      open: (socket: Socket<Peer | null>) => opened(socket, handler),
      data: (socket: Socket<Peer | null>, data: Buffer) => received(socket, data, handler),
      close: (socket: Socket<Peer | null>) => {
        if (socket.data !== null) handler.onClose(socket.data.session);
      },
      // What fails here fails for the peer, whose close is reported.
      error: () => undefined,
    },
  };
  // `fd` is missing from Bun's types; `bun-contract.test.ts` pins it.
  const listener = Bun.listen<Peer | null>(options as unknown as Bun.TCPSocketListenOptions<Peer | null>);
  return { stop: () => listener.stop(false) };
}

function opened(socket: Socket<Peer | null>, handler: HandoverListenerHandler): void {
  socket.data = null;
  const passing = descriptorPassing();
  const peer = passing?.peer(socket.fd) ?? null;
  if (passing === null || peer === null || peer.uid !== passing.ownUid()) {
    handler.onStranger(peer);
    socket.terminate();
    return;
  }
  const session: HandoverSession = {
    peer,
    reply(line, descriptors) {
      const bytes = Buffer.from(`${line}\n`);
      return passing.send(socket.fd, bytes, descriptors) === bytes.length;
    },
  };
  socket.data = { session, text: '' };
}

function received(socket: Socket<Peer | null>, data: Buffer, handler: HandoverListenerHandler): void {
  const peer = socket.data;
  if (peer === null) return;
  peer.text += data.toString('utf8');
  for (let end = peer.text.indexOf('\n'); end >= 0; end = peer.text.indexOf('\n')) {
    const line = peer.text.slice(0, end);
    peer.text = peer.text.slice(end + 1);
    handler.onLine(peer.session, line);
  }
  if (peer.text.length > MAX_LINE_CHARACTERS) socket.terminate();
}
