/**
 * Messages on their way to one loop, posted in slices: cloning a large configuration at once would block
 * this thread (20,000 endpoints: 54 ms measured) and then the loop, and with it traffic.
 */
import type { ToLoop } from '../data-loop.ts';

/** Time one slice may take on the sending side, before the event loop gets its turn. */
const sliceMs = 2;
/** Endpoints or virtual hosts in one message: cloning and applying so many takes well below a slice. */
const partSize = 250;

export class PostQueue {
  readonly #post: (message: ToLoop) => void;
  readonly #nowMs: () => number;
  readonly #later: (run: () => void) => void;
  #waiting: ToLoop[] = [];
  #isScheduled = false;
  #isClosed = false;

  constructor(post: (message: ToLoop) => void, nowMs: () => number, later: (run: () => void) => void) {
    this.#post = post;
    this.#nowMs = nowMs;
    this.#later = later;
  }

  push(message: ToLoop): void {
    for (const part of inParts(message)) this.#waiting.push(part);
    this.#schedule();
  }

  close(): void {
    this.#isClosed = true;
    this.#waiting = [];
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isClosed || this.#waiting.length === 0) return;
    this.#isScheduled = true;
    this.#later(this.#run);
  }

  readonly #run = (): void => {
    this.#isScheduled = false;
    const untilMs = this.#nowMs() + sliceMs;
    let sent = 0;
    for (const message of this.#waiting) {
      this.#post(message);
      sent++;
      if (this.#nowMs() >= untilMs) break;
    }
    this.#waiting.splice(0, sent);
    this.#schedule();
  };
}

export function inParts(message: ToLoop): readonly ToLoop[] {
  if (message.kind === 'putEndpoints') return endpointParts(message);
  if (message.kind === 'putRoutes' && message.routes.virtualHosts.length > partSize)
    return routeParts(message);
  return [message];
}

type PutEndpoints = ToLoop & { kind: 'putEndpoints' };
type PutRoutes = ToLoop & { kind: 'putRoutes' };

function endpointParts(message: PutEndpoints): ToLoop[] {
  const groups = message.assignment.endpoints.flatMap((group) => {
    const pieces = chunks(group.lbEndpoints);
    // A locality without endpoints still carries its weight.
    return pieces.length === 0 ? [group] : pieces.map((lbEndpoints) => ({ ...group, lbEndpoints }));
  });
  const batches: (typeof groups)[] = [];
  let room = 0;
  for (const group of groups) {
    const last = batches.at(-1);
    if (last === undefined || room < group.lbEndpoints.length) {
      batches.push([group]);
      room = partSize - group.lbEndpoints.length;
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
  const pieces = chunks(message.routes.virtualHosts);
  return pieces.map((virtualHosts, part) => ({
    ...message,
    part,
    isLast: part === pieces.length - 1,
    routes: { ...message.routes, virtualHosts },
  }));
}

function chunks<T>(list: readonly T[]): T[][] {
  const out: T[][] = [];
  for (let at = 0; at < list.length; at += partSize) out.push(list.slice(at, at + partSize));
  return out;
}
