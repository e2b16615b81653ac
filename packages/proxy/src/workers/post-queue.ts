/**
 * Messages on their way to one loop, posted in slices: cloning a large configuration at once would block
 * this thread (20,000 endpoints: 54 ms measured) and then the loop, and with it traffic. A loop takes all
 * messages that wait for it in one turn, so a slice is sent when the one before it has been applied
 * (without that, 1,000 clusters stopped a loop for 100 ms).
 */
import type { ToLoop } from '../data-loop.ts';

/** Time one slice may take on the sending side, before the event loop gets its turn. */
const sliceMs = 2;
/** Messages in one slice: applying one takes a loop about 50 µs. */
const maxPerSlice = 24;
/** Endpoints in one message: cloning and applying so many takes well below a slice. */
const endpointsPerPart = 250;
/** Virtual hosts in one message: compiling one takes about 40 µs. */
const hostsPerPart = 32;

export class PostQueue {
  readonly #post: (message: ToLoop) => void;
  readonly #nowMs: () => number;
  readonly #soon: (run: () => void) => void;
  #waiting: ToLoop[] = [];
  #isScheduled = false;
  /** A slice was cut short; the next follows when the loop has applied it. */
  #isAwaiting = false;
  #isClosed = false;

  /** `soon`: once what pushes now is through, so that messages of one update go together. */
  constructor(post: (message: ToLoop) => void, nowMs: () => number, soon: (run: () => void) => void) {
    this.#post = post;
    this.#nowMs = nowMs;
    this.#soon = soon;
  }

  push(message: ToLoop): void {
    for (const part of inParts(message)) this.#waiting.push(part);
    this.#schedule();
  }

  /** The loop has applied what it was sent. */
  taken(): void {
    this.#isAwaiting = false;
    this.#schedule();
  }

  close(): void {
    this.#isClosed = true;
    this.#waiting = [];
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isAwaiting || this.#isClosed || this.#waiting.length === 0) return;
    this.#isScheduled = true;
    this.#soon(this.#run);
  }

  readonly #run = (): void => {
    this.#isScheduled = false;
    const untilMs = this.#nowMs() + sliceMs;
    let sent = 0;
    for (const message of this.#waiting) {
      this.#post(message);
      sent++;
      if (sent >= maxPerSlice || this.#nowMs() >= untilMs) break;
    }
    this.#waiting.splice(0, sent);
    if (this.#waiting.length === 0) return;
    this.#isAwaiting = true;
    this.#post({ kind: 'slice' });
  };
}

export function inParts(message: ToLoop): readonly ToLoop[] {
  if (message.kind === 'putEndpoints') return endpointParts(message);
  if (message.kind === 'putRoutes' && message.routes.virtualHosts.length > hostsPerPart)
    return routeParts(message);
  return [message];
}

type PutEndpoints = ToLoop & { kind: 'putEndpoints' };
type PutRoutes = ToLoop & { kind: 'putRoutes' };

function endpointParts(message: PutEndpoints): ToLoop[] {
  const groups = message.assignment.endpoints.flatMap((group) => {
    const pieces = chunks(group.lbEndpoints, endpointsPerPart);
    // A locality without endpoints still carries its weight.
    return pieces.length === 0 ? [group] : pieces.map((lbEndpoints) => ({ ...group, lbEndpoints }));
  });
  const batches: (typeof groups)[] = [];
  let room = 0;
  for (const group of groups) {
    const last = batches.at(-1);
    if (last === undefined || room < group.lbEndpoints.length) {
      batches.push([group]);
      room = endpointsPerPart - group.lbEndpoints.length;
    } else {
      last.push(group);
      room -= group.lbEndpoints.length;
    }
  }
  if (batches.length === 0) batches.push([]);
  return batches.map((endpoints, part) => ({
    ...message,
    part,
    isLast: part === batches.length - 1,
    assignment: { ...message.assignment, endpoints },
  }));
}

function routeParts(message: PutRoutes): ToLoop[] {
  const pieces = chunks(message.routes.virtualHosts, hostsPerPart);
  return pieces.map((virtualHosts, part) => ({
    ...message,
    part,
    isLast: part === pieces.length - 1,
    routes: { ...message.routes, virtualHosts },
  }));
}

function chunks<T>(list: readonly T[], size: number): T[][] {
  const out: T[][] = [];
  for (let at = 0; at < list.length; at += size) out.push(list.slice(at, at + size));
  return out;
}
