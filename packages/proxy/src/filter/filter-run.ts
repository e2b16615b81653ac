/**
 * One direction of one exchange through its filters: head, data, end, each stepping over the filters that
 * have the method, with pausing and whole-body buffering.
 *
 *   running ──pause──► paused ──resume──► running        (bytes that arrive meanwhile are held)
 *      │                 └──answered──► stopped
 *      └──bufferBody + pause──► collecting ──end──► the filter sees one chunk, then running
 *
 * Held bytes are references to what was received, which is never rewritten. They are withheld credit, so
 * their amount is bounded by the stream's window, or by the limit that `bufferBody` names.
 * Invariant: a filter sees the head before data, data in order, and nothing after `stop`.
 */
import type { HeaderList } from '@sluice/wire';
import type { BodyChunk, FilterVerdict, HttpFilter, HttpFilterContext } from './filter.ts';
import type { DirectionPlan } from './http-chain.ts';

/** What comes out after the last filter, and how filters are reached. */
export interface FilterRunOwner {
  passHead(direction: Direction, isEnd: boolean): void;
  passData(direction: Direction, data: Uint8Array, start: number, end: number): void;
  passEnd(direction: Direction, trailers: HeaderList | null): void;
  bodyTooLarge(direction: Direction): void;
  /** A filter has stopped this run from within, by answering or otherwise; `saysSo`: its verdict was `answered`. */
  answered(saysSo: boolean): void;
  /** A collected body has a new length; its head has not passed yet. */
  bodyReplaced(direction: Direction, byteCount: number): void;
  /** Null: switched off for this exchange. */
  filterAt(position: number): HttpFilter | null;
  contextAt(position: number): HttpFilterContext;
}

export type Direction = 'request' | 'response';

const EMPTY = new Uint8Array(0);

class MutableChunk implements BodyChunk {
  data: Uint8Array = EMPTY;
  start = 0;
  end = 0;
  replace(data: Uint8Array): void {
    this.data = data;
    this.start = 0;
    this.end = data.length;
  }
}

export class FilterRun {
  readonly direction: Direction;
  readonly #owner: FilterRunOwner;
  readonly #chunk = new MutableChunk();
  #firstStep = 0;
  #plan: DirectionPlan | null = null;
  #steps = 0;
  #isStopped = true;
  #isPaused = false;
  /** Step whose filter paused; the head goes on after it. */
  #pausedAt = 0;
  #hasPassedHead = false;
  /** Held bytes re-enter here. */
  #heldStep = 0;
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #hasEnded = false;
  #hasPassedEnd = false;
  #trailers: HeaderList | null = null;
  #depth = 0;
  #hasPaused = false;
  /** Limit of the whole-body buffer; 0 = not collecting. */
  #collectLimitBytes = 0;

  constructor(direction: Direction, owner: FilterRunOwner) {
    this.direction = direction;
    this.#owner = owner;
  }

  /** False while bytes are held without the owner's leave to take more. */
  get takesBytes(): boolean {
    return !this.#isPaused || this.#collectLimitBytes > 0;
  }

  /** A filter's method is on the stack. */
  get isIterating(): boolean {
    return this.#depth > 0;
  }

  /** Some filter has paused since `begin`: it may still hold its context. */
  get hasPaused(): boolean {
    return this.#hasPaused;
  }

  isPausedBy(position: number): boolean {
    return this.#isPaused && this.#plan !== null && this.#plan.order[this.#pausedAt] === position;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** `fromStep`: where iteration begins, later than 0 for the answer of a filter in the chain. */
  begin(plan: DirectionPlan, fromStep: number): void {
    this.#plan = plan;
    this.#steps = plan.order.length;
    this.#isStopped = false;
    this.#isPaused = false;
    this.#hasPaused = false;
    this.#hasPassedHead = false;
    this.#heldStep = fromStep;
    this.#hasEnded = false;
    this.#hasPassedEnd = false;
    this.#trailers = null;
    this.#collectLimitBytes = 0;
    this.#firstStep = fromStep;
  }

  stop(): void {
    this.#isStopped = true;
    this.#isPaused = false;
    this.#trailers = null;
    this.#collectLimitBytes = 0;
    if (this.#held.length > 0) this.#held = [];
    this.#heldBytes = 0;
  }

  head(isEnd: boolean): void {
    this.#hasEnded = isEnd;
    this.#runHead(this.#firstStep);
  }

  data(data: Uint8Array, start: number, end: number): void {
    if (this.#isStopped) return;
    const plan = this.#plan!;
    if (!this.#isPaused && !plan.hasAnyData) {
      this.#owner.passData(this.direction, data, start, end);
      return;
    }
    this.#runData(this.#firstStep, data, start, end, false);
  }

  end(trailers: HeaderList | null): void {
    if (this.#isStopped) return;
    this.#hasEnded = true;
    this.#trailers = trailers;
    if (this.#collectLimitBytes > 0 && this.#isPaused) this.#deliverCollected();
    else if (!this.#isPaused) this.#runEnd(this.#firstStep);
  }

  /** The filter at this position asks to see the whole body before its head goes on. */
  collect(limitBytes: number): void {
    this.#collectLimitBytes = Math.max(1, limitBytes);
  }

  /** Does nothing unless the filter at this position is the one that paused. */
  resume(position: number): void {
    if (this.#isStopped || !this.isPausedBy(position) || this.#collectLimitBytes > 0) return;
    this.#isPaused = false;
    this.#proceed(this.#pausedAt + 1);
  }

  #runHead(from: number): void {
    const plan = this.#plan!;
    if (plan.hasAnyHead) {
      for (let step = from; step < this.#steps; step++) {
        if (!plan.hasHead[step]) continue;
        const filter = this.#owner.filterAt(plan.order[step]!);
        if (filter === null) continue;
        const verdict = this.#callHead(filter, plan.order[step]!);
        if (verdict === 'continue' && !this.#isStopped) continue;
        this.#halt(verdict, step, step);
        return;
      }
    }
    this.#hasPassedHead = true;
    const isEnd = this.#hasEnded && this.#heldBytes === 0 && this.#trailers === null;
    this.#hasPassedEnd = isEnd;
    this.#owner.passHead(this.direction, isEnd);
  }

  /** `isEnd`: the chunk is the last, and may be empty. */
  #runData(from: number, data: Uint8Array, start: number, end: number, isEnd: boolean): void {
    const plan = this.#plan!;
    const stopAt = this.#isPaused ? this.#heldStep : this.#steps;
    const chunk = this.#chunk;
    chunk.data = data;
    chunk.start = start;
    chunk.end = end;
    for (let step = from; step < stopAt; step++) {
      if (!plan.hasData[step]) continue;
      const filter = this.#owner.filterAt(plan.order[step]!);
      if (filter === null) continue;
      const verdict = this.#callData(filter, plan.order[step]!, isEnd);
      if (verdict === 'continue' && !this.#isStopped) continue;
      this.#halt(verdict, step, step + 1);
      break;
    }
    if (this.#isStopped || chunk.end <= chunk.start) return;
    if (this.#isPaused) this.#hold(chunk.data.subarray(chunk.start, chunk.end));
    else this.#owner.passData(this.direction, chunk.data, chunk.start, chunk.end);
  }

  #halt(verdict: FilterVerdict, step: number, heldStep: number): void {
    if (verdict === 'answered' || this.#isStopped) {
      this.stop();
      this.#owner.answered(verdict === 'answered');
      return;
    }
    this.#isPaused = true;
    this.#hasPaused = true;
    this.#pausedAt = step;
    this.#heldStep = heldStep;
    if (this.#collectLimitBytes > 0 && this.#hasEnded && !this.#hasPassedHead) this.#deliverCollected();
  }

  #hold(data: Uint8Array): void {
    this.#held.push(data);
    this.#heldBytes += data.length;
    if (this.#collectLimitBytes > 0 && this.#heldBytes > this.#collectLimitBytes)
      this.#owner.bodyTooLarge(this.direction);
  }

  /** The whole body is here: the filter that asked sees it in one piece, then the head goes on. */
  #deliverCollected(): void {
    this.#collectLimitBytes = 0;
    const plan = this.#plan!;
    const step = this.#pausedAt;
    const body = this.#held.length === 1 ? this.#held[0]! : Buffer.concat(this.#held);
    this.#held = [];
    this.#heldBytes = 0;
    this.#isPaused = false;
    const chunk = this.#chunk;
    chunk.replace(body);
    const filter = this.#owner.filterAt(plan.order[step]!);
    if (filter !== null && plan.hasData[step]) {
      const verdict = this.#callData(filter, plan.order[step]!, true);
      if (verdict !== 'continue' || this.#isStopped) this.#halt(verdict, step, step + 1);
    }
    if (this.#isStopped) return;
    if (chunk.data !== body) this.#owner.bodyReplaced(this.direction, chunk.end - chunk.start);
    if (chunk.end > chunk.start) this.#hold(chunk.data.subarray(chunk.start, chunk.end));
    this.#heldStep = step + 1;
    if (!this.#isPaused) this.#proceed(step + 1);
  }

  /** After a pause: the head where it stopped, then what was held, then the end. */
  #proceed(step: number): void {
    if (!this.#hasPassedHead) {
      this.#runHead(step);
      if (this.#isPaused || this.#isStopped) return;
    }
    while (this.#held.length > 0 && !this.#isPaused && !this.#isStopped) {
      const data = this.#held.shift()!;
      this.#heldBytes -= data.length;
      const waiting = this.#held;
      this.#held = [];
      this.#runData(this.#heldStep, data, 0, data.length, false);
      // What a filter held of this chunk comes before what waited behind it.
      this.#held = this.#held.length === 0 ? waiting : [...this.#held, ...waiting];
    }
    if (this.#hasEnded && !this.#isPaused && !this.#isStopped) this.#runEnd(this.#heldStep);
  }

  #runEnd(from: number): void {
    if (this.#hasPassedEnd) return;
    const plan = this.#plan!;
    if (plan.hasAnyData) {
      this.#runData(from, EMPTY, 0, 0, true);
      if (this.#isStopped || this.#isPaused) return;
    }
    const trailers = this.#trailers;
    if (trailers !== null && plan.hasAnyTrailers && !this.#runTrailers(from, trailers)) return;
    this.#hasPassedEnd = true;
    this.#owner.passEnd(this.direction, trailers);
  }

  #runTrailers(from: number, trailers: HeaderList): boolean {
    const plan = this.#plan!;
    for (let step = from; step < this.#steps; step++) {
      if (!plan.hasTrailers[step]) continue;
      const filter = this.#owner.filterAt(plan.order[step]!);
      if (filter === null) continue;
      const verdict = this.#callTrailers(filter, plan.order[step]!, trailers);
      if (verdict === 'continue' && !this.#isStopped) continue;
      this.#halt(verdict, step, step + 1);
      return false;
    }
    return true;
  }

  #callHead(filter: HttpFilter, position: number): FilterVerdict {
    const context = this.#owner.contextAt(position);
    this.#depth++;
    try {
      return this.direction === 'request'
        ? filter.onRequestHead!(context, this.#hasEnded)
        : filter.onResponseHead!(context, this.#hasEnded);
    } finally {
      this.#depth--;
    }
  }

  #callData(filter: HttpFilter, position: number, isEnd: boolean): FilterVerdict {
    const context = this.#owner.contextAt(position);
    this.#depth++;
    try {
      return this.direction === 'request'
        ? filter.onRequestData!(context, this.#chunk, isEnd)
        : filter.onResponseData!(context, this.#chunk, isEnd);
    } finally {
      this.#depth--;
    }
  }

  #callTrailers(filter: HttpFilter, position: number, trailers: HeaderList): FilterVerdict {
    const context = this.#owner.contextAt(position);
    this.#depth++;
    try {
      return this.direction === 'request'
        ? filter.onRequestTrailers!(context, trailers)
        : filter.onResponseTrailers!(context, trailers);
    } finally {
      this.#depth--;
    }
  }
}
