/**
 * The attempts of one request that live at a time: almost always one, kept inline; more only while a hedge
 * runs. All read the one body from their own positions, and one of them will be the answer.
 *
 * `lone` is what a request with one attempt pays: the router asks it directly and nothing here runs.
 *
 * Invariant: `lone` is null exactly while several live; octets of the body that a living attempt has not read
 * are kept.
 */
import { REPLAY_LIMIT_BYTES, type RequestBody } from '../../http/request-body.ts';
import { Attempt } from './attempt.ts';

export class AttemptSet {
  readonly #make: () => Attempt;
  readonly #first: Attempt;
  /** Made when a request first needs them, used again by those after it. */
  #others: Attempt[] | null = null;
  /** The one that is or was under way; null = several are. */
  lone: Attempt | null;
  /** Several have lived during this request. */
  wasShared = false;

  constructor(make: () => Attempt) {
    this.#make = make;
    this.lone = this.#first = make();
  }

  /** Of all, at rest or not: for `at`. */
  get size(): number {
    return this.#others === null ? 1 : 1 + this.#others.length;
  }

  at(index: number): Attempt {
    return index === 0 ? this.#first : this.#others![index - 1]!;
  }

  /** One at rest, for a try beside those that live; `share` follows if there is to be one. */
  spare(): Attempt {
    for (let i = 0; i < this.size; i++) {
      const attempt = this.at(i);
      if (!attempt.isLive) return attempt;
    }
    const attempt = this.#make();
    (this.#others ??= []).push(attempt);
    return attempt;
  }

  /** A spare one begins beside those that live. */
  share(): void {
    this.lone = null;
    this.wasShared = true;
  }

  hasOther(than: Attempt): boolean {
    if (this.lone !== null) return false;
    for (let i = 0; i < this.size; i++) {
      const attempt = this.at(i);
      if (attempt !== than && attempt.isLive) return true;
    }
    return false;
  }

  /** One has come to rest: another may be alone now, and what was started in its place is gone. */
  recount(body: RequestBody): void {
    if (this.lone !== null) return;
    let left: Attempt | null = null;
    for (let i = 0; i < this.size; i++) {
      const attempt = this.at(i);
      if (!attempt.isLive) continue;
      if (left !== null) return;
      left = attempt;
    }
    this.lone = left ?? this.#first;
    this.lone.isSuperseded = false;
    // What was kept for who has gone: nothing else lets go of it before more comes.
    if (left !== null) body.trim(left.position);
  }

  /**
   * More of the body may come: one can send it on at once, and none is further behind than what is kept for
   * replay. So the slowest bounds what waits, and one that waits for its connection does not stop the others.
   */
  takesBytes(body: RequestBody): boolean {
    if (this.lone !== null) return this.lone.takesBytes;
    let canSend = false;
    for (let i = 0; i < this.size; i++) {
      const attempt = this.at(i);
      if (!attempt.isLive) continue;
      if (body.totalBytes - attempt.position > REPLAY_LIMIT_BYTES) return false;
      canSend ||= attempt.takesBytes;
    }
    return canSend;
  }

  pump(): void {
    if (this.lone !== null) this.lone.pump();
    else for (let i = 0; i < this.size; i++) this.at(i).pump();
  }

  /** Lets go of what all have read. */
  trim(body: RequestBody): void {
    if (this.lone !== null) {
      body.trim(this.lone.position);
      return;
    }
    let position = body.totalBytes;
    for (let i = 0; i < this.size; i++) {
      const attempt = this.at(i);
      if (attempt.isLive) position = Math.min(position, attempt.position);
    }
    body.trim(position);
  }

  /** All at rest, and of further ones nothing but their memory is kept. */
  reset(): void {
    this.lone = this.#first;
    if (!this.wasShared) return;
    this.wasShared = false;
    for (let i = 0; i < this.size; i++) this.at(i).forget();
  }

  dispose(): void {
    for (let i = 0; i < this.size; i++) this.at(i).dispose();
  }
}
