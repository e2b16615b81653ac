/**
 * The client: writes bytes as given and reads responses with a deliberately lenient reader, so that what a
 * proxy sent is seen rather than judged.
 */
import { connectPeer, type PeerConnection } from '@sluice/testkit';
import type { Case, Step } from './section.ts';

export type Fields = readonly (readonly [name: string, value: string])[];

export interface Response {
  readonly status: number;
  readonly version: string;
  readonly headers: Fields;
  readonly body: string;
  readonly trailers: Fields;
  /** Statuses of interim responses that came before. */
  readonly interim: readonly number[];
  readonly framing: 'none' | 'length' | 'chunked' | 'close';
  readonly isWhole: boolean;
  /** What came back through a tunnel, null when none was opened. */
  readonly tunnelled: string | null;
}

/** A response, or `closed` where the connection ended instead, or `stalled` where nothing came. */
export type Outcome = Response | 'closed' | 'stalled' | 'reset-by-client';

export interface Conversation {
  readonly outcomes: readonly Outcome[];
  readonly clientPort: number;
}

/** Only a proxy that does not answer at all makes a case wait so long. */
const stallMs = 4_000;

export async function converse(port: number, { steps }: Case): Promise<Conversation> {
  const peer = await connectAnew(port);
  const clientPort = peer.localPort;
  const outcomes: Outcome[] = [];
  const timer = setTimeout(() => {
    outcomes.push('stalled');
    peer.reset();
  }, stallMs);
  for (const step of steps) {
    await peer.write(step.send);
    if (step.thenReset) {
      peer.reset();
      outcomes.push('reset-by-client');
      break;
    }
    if (step.thenEnd) peer.end();
    for (let i = 0; i < (step.responses ?? 1); i++) outcomes.push(await readResponse(peer, step));
    if (outcomes.at(-1) === 'closed') break;
  }
  clearTimeout(timer);
  peer.reset();
  await peer.closed;
  const stalledAt = outcomes.indexOf('stalled');
  return { clientPort, outcomes: stalledAt < 0 ? outcomes : outcomes.slice(0, stalledAt + 1) };
}

/** Log lines are told apart by the client's port, which the kernel may give again after a reset. */
const usedPorts = new Set<string>();

async function connectAnew(port: number): Promise<PeerConnection> {
  const peer = await connectPeer(port);
  const pair = `${port} ${peer.localPort}`;
  if (!usedPorts.has(pair)) {
    usedPorts.add(pair);
    return peer;
  }
  // While this one is open, the next gets another port.
  const next = await connectAnew(port);
  peer.reset();
  return next;
}

async function readResponse(peer: PeerConnection, step: Step): Promise<Outcome> {
  const interim: number[] = [];
  for (;;) {
    const head = await peer.readHead();
    if (head === undefined) return 'closed';
    const lines = head.split('\r\n');
    const [version = '', statusText = ''] = (lines[0] ?? '').split(' ');
    const status = Number(statusText);
    const headers = parseFields(lines.slice(1));
    if (status >= 100 && status < 200 && status !== 101) {
      interim.push(status);
      if (status === 100 && step.afterContinue !== undefined) await peer.write(step.afterContinue);
      continue;
    }
    const method = step.send.slice(0, step.send.indexOf(' '));
    const opensTunnel = status === 101 || (method === 'CONNECT' && status === 200);
    const content = opensTunnel ? noContent : await readContent(peer, method, status, headers);
    const tunnelled = opensTunnel ? await readTunnel(peer, step.tunnel) : null;
    return { status, version, headers, interim, ...content, tunnelled };
  }
}

type Content = Pick<Response, 'body' | 'trailers' | 'framing' | 'isWhole'>;

const noContent: Content = { body: '', trailers: [], framing: 'none', isWhole: true };

async function readContent(
  peer: PeerConnection,
  method: string,
  status: number,
  headers: Fields,
): Promise<Content> {
  const value = (name: string): string | undefined =>
    headers.find(([key]) => key.toLowerCase() === name)?.[1];
  if (method === 'HEAD' || status === 204 || status === 304) return noContent;
  if (value('transfer-encoding')?.toLowerCase() === 'chunked') return readChunked(peer);
  const length = value('content-length');
  if (length === undefined) {
    return { ...noContent, framing: 'close', body: latin1(await peer.readToEnd()) };
  }
  const body = await peer.readExactly(Number(length));
  if (body !== undefined) return { ...noContent, framing: 'length', body: latin1(body) };
  return { ...noContent, framing: 'length', isWhole: false, body: latin1(await peer.readToEnd()) };
}

async function readChunked(peer: PeerConnection): Promise<Content> {
  let body = '';
  for (;;) {
    const size = Number.parseInt((await peer.readThrough('\r\n')) ?? '', 16);
    if (Number.isNaN(size)) return { body, trailers: [], framing: 'chunked', isWhole: false };
    if (size === 0) break;
    const chunk = await peer.readExactly(size + 2);
    if (chunk === undefined) return { body, trailers: [], framing: 'chunked', isWhole: false };
    body += latin1(chunk.subarray(0, size));
  }
  const lines: string[] = [];
  for (;;) {
    const line = await peer.readThrough('\r\n');
    if (line === undefined || line === '\r\n') {
      return { body, trailers: parseFields(lines), framing: 'chunked', isWhole: line !== undefined };
    }
    lines.push(line.slice(0, -2));
  }
}

async function readTunnel(peer: PeerConnection, bytes: string | undefined): Promise<string> {
  if (bytes === undefined) return '';
  await peer.write(bytes);
  const back = await peer.readExactly(bytes.length);
  return back === undefined ? 'closed' : latin1(back);
}

function parseFields(lines: readonly string[]): Fields {
  return lines
    .filter((line) => line !== '')
    .map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon), line.slice(colon + 1).trim()] as const;
    });
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}
