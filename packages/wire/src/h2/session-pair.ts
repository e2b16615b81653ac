/** For tests: two sessions that talk to each other through octets, in whatever pieces and with whatever delays. */
import type { HeaderList } from '../headers/header-list.ts';
import { SessionUnderTest, type SessionTestOptions } from './transcript.ts';

export class SessionPair {
  readonly client: SessionUnderTest;
  readonly server: SessionUnderTest;
  #toServer: Uint8Array[] = [];
  #toClient: Uint8Array[] = [];

  constructor(client: SessionTestOptions, server: SessionTestOptions) {
    this.client = new SessionUnderTest({ ...client, role: 'client', keepsOutput: true });
    this.server = new SessionUnderTest({ ...server, role: 'server', keepsOutput: true });
  }

  /** Moves at most `maxBytes` octets each way, in pieces of `piece`; false if there was nothing to move. */
  exchange(maxBytes = Infinity, piece = Infinity): boolean {
    this.#toServer.push(this.client.takeOutput());
    this.#toClient.push(this.server.takeOutput());
    const up = take(this.#toServer, maxBytes);
    const down = take(this.#toClient, maxBytes);
    deliver(this.server, up, piece);
    deliver(this.client, down, piece);
    return up.length + down.length > 0;
  }

  /** Until nothing moves any more. */
  settle(): void {
    while (this.exchange()) continue;
  }
}

/** The fields of a list as text, for comparison. */
export function fieldsOf(list: HeaderList | null): string {
  const lines: string[] = [];
  list?.forEach((name, value) => lines.push(`${name}=${value}`));
  return lines.join('\n');
}

function take(queue: Uint8Array[], maxBytes: number): Uint8Array {
  const all = new Uint8Array(Buffer.concat(queue));
  const taken = all.slice(0, maxBytes);
  queue.length = 0;
  queue.push(all.slice(taken.length));
  return taken;
}

function deliver(to: SessionUnderTest, octets: Uint8Array, piece: number): void {
  for (let at = 0; at < octets.length; at += piece) {
    const part = octets.slice(at, at + piece);
    to.session.receive(part, 0, part.length, to.nowMs);
  }
}
