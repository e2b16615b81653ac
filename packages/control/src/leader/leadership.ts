/**
 * What only one control plane of a mesh may do at a time: allot ports, expire leases, write statuses, rotate
 * authorities (design §6, xDS). Each is a duty: begun when this process leads, ended when it leads no longer, whoever
 * decides that. On one machine the lock on the state directory decides (`source/state-file.ts`): who has it leads from
 * the start to the end.
 *
 * A leader can be deposed between its decision and its write. So what duties write compares first: a status the
 * revision it was made for, an expiry the registration it was judged by, an allotment that there is none yet.
 */

export interface LeaderDuty {
  readonly name: string;
  /** Begins; returns what ends it. Begun anew each time the lead comes back. */
  begin(): () => void;
}

export interface Leadership {
  readonly isLeader: boolean;
  /** Takes a duty on for as long as this process leads; the returned function lays it down for good. */
  take(duty: LeaderDuty): () => void;
}

export class LeaderDuties implements Leadership {
  #isLeader: boolean;
  /** In the order in which they were taken, with what ends those that run. */
  readonly #duties = new Map<LeaderDuty, (() => void) | null>();

  constructor(isLeader: boolean) {
    this.#isLeader = isLeader;
  }

  get isLeader(): boolean {
    return this.#isLeader;
  }

  take(duty: LeaderDuty): () => void {
    this.#duties.set(duty, this.#isLeader ? duty.begin() : null);
    return () => {
      this.#duties.get(duty)?.();
      this.#duties.delete(duty);
    };
  }

  /** Told by whoever elects. Duties end in the reverse order of their beginning. */
  lead(isLeader: boolean): void {
    if (isLeader === this.#isLeader) return;
    this.#isLeader = isLeader;
    const duties = [...this.#duties];
    if (!isLeader) duties.reverse();
    for (const [duty, end] of duties) {
      if (!isLeader) end?.();
      this.#duties.set(duty, isLeader ? duty.begin() : null);
    }
  }
}

/** Of the only control plane of its state: it holds the lock on it. */
export function soleLeadership(): Leadership {
  return new LeaderDuties(true);
}
