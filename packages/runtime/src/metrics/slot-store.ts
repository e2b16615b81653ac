/**
 * Hands out runs of Float64 slots on SharedArrayBuffer blocks.
 *
 * A freed run keeps its last values until the second `release` after it, because a reader in another
 * thread learns of the removal later and wants the final count; only then is it zeroed and used again.
 */

export interface SlotRun {
  readonly block: SharedArrayBuffer;
  readonly offset: number;
  readonly slotCount: number;
}

/** Slots in one block (32 KiB); a longer run gets a block of its own. */
const slotsPerBlock = 4096;

export class SlotStore {
  #block: SharedArrayBuffer | undefined;
  #used = slotsPerBlock;
  readonly #free = new Map<number, SlotRun[]>();
  #resting: SlotRun[] = [];
  #justFreed: SlotRun[] = [];

  /** A run of zeroes. */
  allocate(slotCount: number): SlotRun {
    const reused = this.#free.get(slotCount)?.pop();
    if (reused !== undefined) {
      slotsOfRun(reused).fill(0);
      return reused;
    }
    if (slotCount > slotsPerBlock) return { block: newBlock(slotCount), offset: 0, slotCount };
    if (this.#block === undefined || this.#used + slotCount > slotsPerBlock) {
      this.#block = newBlock(slotsPerBlock);
      this.#used = 0;
    }
    const run = { block: this.#block, offset: this.#used, slotCount };
    this.#used += slotCount;
    return run;
  }

  free(run: SlotRun): void {
    this.#justFreed.push(run);
  }

  /** Ends one resting period: what was freed before the previous call may be used again. */
  release(): void {
    for (const run of this.#resting) {
      const runs = this.#free.get(run.slotCount);
      if (runs === undefined) this.#free.set(run.slotCount, [run]);
      else runs.push(run);
    }
    this.#resting = this.#justFreed;
    this.#justFreed = [];
  }
}

export function slotsOfRun(run: SlotRun): Float64Array {
  return new Float64Array(run.block, run.offset * Float64Array.BYTES_PER_ELEMENT, run.slotCount);
}

function newBlock(slotCount: number): SharedArrayBuffer {
  return new SharedArrayBuffer(slotCount * Float64Array.BYTES_PER_ELEMENT);
}
