/**
 * Notices that files were replaced. By looking every second rather than by inotify: it means the same on
 * every platform and file system, through the renamed links by which Kubernetes swaps a mounted Secret, and
 * costs some microseconds a file. A `watched_directory`, which tells Envoy when to look, has nothing to add.
 */
import { statSync } from 'node:fs';
import { TimerNode, type TimerWheel } from '@sluice/runtime';

const intervalMs = 1_000;

interface Watched {
  readonly files: Map<string, string>;
  onChange(): void;
}

export class WatchedFiles {
  readonly #timers: TimerWheel;
  readonly #timer: TimerNode;
  readonly #owners = new Map<string, Watched>();

  constructor(timers: TimerWheel) {
    this.#timers = timers;
    this.#timer = new TimerNode(() => this.#look());
  }

  /** The whole set of files of an owner, in place of the one before. */
  watch(owner: string, files: Iterable<string>, onChange: () => void): void {
    const marks = new Map([...files].map((file) => [file, markOf(file)]));
    if (marks.size === 0) return this.forget(owner);
    this.#owners.set(owner, { files: marks, onChange });
    if (!this.#timer.isArmed) this.#timers.arm(this.#timer, intervalMs);
  }

  forget(owner: string): void {
    this.#owners.delete(owner);
    if (this.#owners.size === 0) this.#timers.disarm(this.#timer);
  }

  #look(): void {
    for (const { files, onChange } of this.#owners.values()) {
      let isChanged = false;
      for (const [file, before] of files) {
        const mark = markOf(file);
        if (mark === before) continue;
        files.set(file, mark);
        isChanged = true;
      }
      if (isChanged) onChange();
    }
    if (this.#owners.size > 0) this.#timers.arm(this.#timer, intervalMs);
  }
}

/** Differs between any two files that stood under the name one after the other. */
function markOf(file: string): string {
  try {
    const { dev, ino, size, mtimeNs } = statSync(file, { bigint: true });
    return `${dev}:${ino}:${size}:${mtimeNs}`;
  } catch {
    return 'absent';
  }
}
