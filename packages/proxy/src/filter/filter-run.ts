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
 * At the end each filter sees its last data, then the trailers, before the next one does, so that what it
 * appends to the body still reaches those behind it.
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

/** What happens to a collected body beyond its limit: the owner refuses it, or the rest is dropped. */
export type Overflow = 'refuse' | 'cut';

const EMPTY = new Uint8Array(0);

/** Bits of the positions whose filters want nothing more of the exchange. */
export interface LeavingFilters {
  readonly leftMask: number;
}

const NOBODY_LEFT: LeavingFilters = { leftMask: 0 };

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
  #overflow: Overflow = 'refuse';
  /** The first step whose filter has not seen the trailers. */
  #trailerStep = 0;
  #watched: LeavingFilters = NOBODY_LEFT;

  constructor(direction: Direction, owner: FilterRunOwner) {
    this.direction = direction;
    this.#owner = owner;
  }

  /** Whose filters may have left. */
  watch(filters: LeavingFilters): void {
    this.#watched = filters;
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
    this.#trailerStep = fromStep;
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
    if (!this.#isPaused && (plan.dataMask & ~this.#watched.leftMask) === 0) {
      this.#owner.passData(this.direction, data, start, end);
      return;
    }
    this.#runData(this.#firstStep, data, start, end);
  }

  end(trailers: HeaderList | null): void {
    if (this.#isStopped) return;
    this.#hasEnded = true;
    this.#trailers = trailers;
    if (this.#collectLimitBytes > 0 && this.#isPaused) this.#deliverCollected();
    else if (!this.#isPaused) this.#runEnd(this.#firstStep);
  }

  /** The filter at this position asks to see the whole body before its head goes on. */
  collect(limitBytes: number, overflow: Overflow): void {
    this.#collectLimitBytes = Math.max(1, limitBytes);
    this.#overflow = overflow;
  }

  /** From a filter's `on…Trailers`: bytes that go on behind the body, through the filters after this one. */
  append(data: Uint8Array): void {
    const chunk = this.#chunk;
    const waiting = chunk.end - chunk.start;
    chunk.replace(waiting === 0 ? data : Buffer.concat([chunk.data.subarray(chunk.start, chunk.end), data]));
  }

  /** Does nothing unless the filter at this position is the one that paused. */
  resume(position: number): void {
    if (this.#isStopped || !this.isPausedBy(position) || this.#collectLimitBytes > 0) return;
    this.#isPaused = false;
    this.#proceed(this.#pausedAt + 1);
  }

  #runHead(from: number): void {
    const plan = this.#plan!;
    if ((plan.headMask & ~this.#watched.leftMask) !== 0) {
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

  #runData(from: number, data: Uint8Array, start: number, end: number): void {
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
      const verdict = this.#callData(filter, plan.order[step]!, false);
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
    const isCut = this.#collectLimitBytes > 0 && this.#overflow === 'cut';
    const kept = isCut ? data.subarray(0, Math.max(0, this.#collectLimitBytes - this.#heldBytes)) : data;
    if (isCut && kept.length === 0) return;
    this.#held.push(kept);
    this.#heldBytes += kept.length;
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
      this.#runData(this.#heldStep, data, 0, data.length);
      // What a filter held of this chunk comes before what waited behind it.
      this.#held = this.#held.length === 0 ? waiting : [...this.#held, ...waiting];
    }
    if (this.#hasEnded && !this.#isPaused && !this.#isStopped) this.#runEnd(this.#heldStep);
  }

  #runEnd(from: number): void {
    if (this.#hasPassedEnd) return;
    const plan = this.#plan!;
    const wanted = this.#trailers === null ? plan.dataMask : plan.dataMask | plan.trailersMask;
    if ((wanted & ~this.#watched.leftMask) !== 0 && !this.#runLastSteps(from)) return;
    this.#hasPassedEnd = true;
    const trailers = this.#trailers;
    // A filter that took all of them (into the body, say) leaves none.
    this.#owner.passEnd(this.direction, trailers !== null && trailers.count === 0 ? null : trailers);
  }

  /** False: a filter has paused or answered, and the end has not passed. */
  #runLastSteps(from: number): boolean {
    const plan = this.#plan!;
    const chunk = this.#chunk;
    chunk.replace(EMPTY);
    for (let step = Math.min(from, this.#trailerStep); step < this.#steps; step++) {
      if (step >= from && plan.hasData[step]) {
        const filter = this.#owner.filterAt(plan.order[step]!);
        const verdict = filter === null ? 'continue' : this.#callData(filter, plan.order[step]!, true);
        if (verdict !== 'continue' || this.#isStopped) return this.#haltAtEnd(verdict, step);
      }
      if (step < this.#trailerStep) continue;
      this.#trailerStep = step + 1;
      const trailers = this.#trailers;
      if (trailers === null || !plan.hasTrailers[step]) continue;
      const filter = this.#owner.filterAt(plan.order[step]!);
      const verdict = filter === null ? 'continue' : this.#callTrailers(filter, plan.order[step]!, trailers);
      if (verdict !== 'continue' || this.#isStopped) return this.#haltAtEnd(verdict, step);
    }
    if (chunk.end > chunk.start) this.#owner.passData(this.direction, chunk.data, chunk.start, chunk.end);
    return !this.#isStopped;
  }

  #haltAtEnd(verdict: FilterVerdict, step: number): false {
    const chunk = this.#chunk;
    this.#halt(verdict, step, step + 1);
    if (this.#isPaused && chunk.end > chunk.start) this.#hold(chunk.data.subarray(chunk.start, chunk.end));
    return false;
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
