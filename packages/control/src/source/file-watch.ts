/**
 * Watches a set of files by content identity (device, inode, size, times) and says which have settled into a new
 * state. Events of the file system only make it look at once; what counts is what a look finds, so that saves by
 * rename, swapped symlinks, lost events and network file systems are all seen by the same comparison.
 *
 * A file written in place may be seen half-written, and some editors move the old file away before the new one
 * exists. So a change counts when it has stood still for a moment, and an absence or emptiness for a longer one; a
 * file that was replaced or moved as a whole counts at once.
 */
import { readdirSync, statSync, watch, type FSWatcher } from 'node:fs';
import { systemClock, type Clock } from '@sluice/runtime';

export interface ScannedFiles {
  readonly files: readonly string[];
  /** Folders in which something may happen to the files. */
  readonly directories: readonly string[];
  /** Folders that should be there and are not: nothing is known of the files below them. */
  readonly unreadable: readonly string[];
}

export interface SettledChanges {
  readonly changed: readonly string[];
  readonly gone: readonly string[];
}

export interface FileWatchOptions {
  readonly scan: () => ScannedFiles;
  readonly onSettled: (changes: SettledChanges) => void;
  readonly onError: (error: unknown) => void;
  readonly clock?: Clock;
}

/** How long an in-place change must stand still: longer than the gap between an editor's truncate and write. */
const settleMs = 15;
/** How long a file must be absent or empty before that is believed. */
const absenceSettleMs = 60;
const pollIntervalMs = 100;
/** A look that takes long is repeated less often: the poll alone uses less than half a percent of a core. */
const pollShare = 250;
const pendingLookMs = 8;

interface Identity {
  readonly inode: string;
  readonly content: string;
  readonly isEmpty: boolean;
}

interface Pending {
  readonly identity: Identity | null;
  readonly sinceMs: number;
}

export class FileWatch {
  readonly #options: FileWatchOptions;
  readonly #clock: Clock;
  readonly #known = new Map<string, Identity>();
  readonly #pending = new Map<string, Pending>();
  readonly #watchers = new Map<string, FSWatcher>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;

  constructor(options: FileWatchOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** Takes the present state as known, without telling, and returns it. Watching starts with `start`. */
  prime(): ScannedFiles {
    const scanned = this.#options.scan();
    for (const file of scanned.files) {
      const identity = identify(file);
      if (identity !== null) this.#known.set(file, identity);
    }
    return scanned;
  }

  start(): void {
    this.#followDirectories(this.#options.scan().directories);
    this.#lookIn(0);
  }

  /** Compares now; what is new and has settled is told before this returns. */
  look(): void {
    if (this.#isClosed) return;
    const startMs = this.#clock.nowMs();
    try {
      const scanned = this.#options.scan();
      this.#followDirectories(scanned.directories);
      const settled = this.#compare(scanned, startMs);
      if (settled.changed.length + settled.gone.length > 0) this.#options.onSettled(settled);
    } catch (error) {
      this.#options.onError(error);
    }
    const tookMs = this.#clock.nowMs() - startMs;
    this.#lookIn(this.#pending.size > 0 ? pendingLookMs : Math.max(pollIntervalMs, tookMs * pollShare));
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  #lookIn(delayMs: number): void {
    clearTimeout(this.#timer);
    if (!this.#isClosed) this.#timer = setTimeout(() => this.look(), delayMs);
  }

  #compare({ files, unreadable }: ScannedFiles, nowMs: number): SettledChanges {
    const present = new Map<string, Identity>();
    for (const file of files) {
      const identity = identify(file);
      if (identity !== null) present.set(file, identity);
    }
    const absent = [...this.#known.keys()].filter((file) => !present.has(file) && !isBelow(file, unreadable));
    const movedInodes = movesBetween(absent, present, this.#known);
    for (const file of this.#pending.keys()) {
      const identity = present.get(file);
      const isBack = identity !== undefined && identity.content === this.#known.get(file)?.content;
      if (isBack || (identity === undefined && !absent.includes(file))) this.#pending.delete(file);
    }
    const changed: string[] = [];
    const gone: string[] = [];
    for (const [file, identity] of present) {
      if (!this.#hasSettled(file, identity, nowMs, movedInodes)) continue;
      this.#known.set(file, identity);
      changed.push(file);
    }
    for (const file of absent) {
      if (!this.#hasSettled(file, null, nowMs, movedInodes)) continue;
      this.#known.delete(file);
      gone.push(file);
    }
    return { changed, gone };
  }

  /** True once, when what differs from the known state has stood still for long enough. */
  #hasSettled(
    file: string,
    identity: Identity | null,
    nowMs: number,
    movedInodes: ReadonlySet<string>,
  ): boolean {
    const known = this.#known.get(file);
    if (known?.content === identity?.content) return false;
    const pending = this.#pending.get(file);
    const isSame = pending !== undefined && pending.identity?.content === identity?.content;
    const sinceMs = isSame ? pending.sinceMs : nowMs;
    const inode = identity?.inode ?? known?.inode ?? '';
    const isWhole =
      movedInodes.has(inode) || (identity !== null && known !== undefined && !sameInode(identity, known));
    const isDoubtful = identity === null || (identity.isEmpty && known !== undefined && !known.isEmpty);
    const neededMs = isWhole && !isEmptied(identity) ? 0 : isDoubtful ? absenceSettleMs : settleMs;
    if (nowMs - sinceMs >= neededMs) {
      this.#pending.delete(file);
      return true;
    }
    this.#pending.set(file, { identity, sinceMs });
    return false;
  }

  #followDirectories(directories: readonly string[]): void {
    for (const [directory, watcher] of this.#watchers) {
      if (directories.includes(directory)) continue;
      watcher.close();
      this.#watchers.delete(directory);
    }
    for (const directory of directories) {
      if (this.#watchers.has(directory)) continue;
      try {
        const watcher = watch(directory, () => this.#lookIn(0));
        watcher.on('error', () => this.#unfollow(directory));
        this.#watchers.set(directory, watcher);
      } catch (error) {
        // Out of watches, or a file system without events: the poll sees the changes all the same.
        if (!isFileSystemError(error)) throw error;
      }
    }
  }

  #unfollow(directory: string): void {
    this.#watchers.get(directory)?.close();
    this.#watchers.delete(directory);
  }
}

/** Files of a folder and of its subfolders one level down, hidden ones left out. Throws when `root` is unreadable. */
export function listFolder(root: string): { readonly files: string[]; readonly directories: string[] } {
  const { files, directories } = listDirectory(root);
  const all = [root, ...directories];
  for (const directory of directories) files.push(...listDirectory(directory).files);
  return { files, directories: all };
}

function listDirectory(directory: string): { readonly files: string[]; readonly directories: string[] } {
  const files: string[] = [];
  const directories: string[] = [];
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    if (entry.name.startsWith('.')) continue;
    const path = `${directory}/${entry.name}`;
    const isDirectory = entry.isSymbolicLink()
      ? (statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false)
      : entry.isDirectory();
    (isDirectory ? directories : files).push(path);
  }
  return { files: files.sort(), directories: directories.sort() };
}

/** Follows symlinks, so that a swapped link is another file; null when there is nothing to read. */
function identify(file: string): Identity | null {
  const stat = statSync(file, { bigint: true, throwIfNoEntry: false });
  if (stat === undefined || !stat.isFile()) return null;
  const inode = `${stat.dev}:${stat.ino}`;
  return {
    inode,
    content: `${inode}:${stat.size}:${stat.mtimeNs}:${stat.ctimeNs}`,
    isEmpty: stat.size === 0n,
  };
}

/** Inodes that left one name and appeared under another: renames, which are whole at once. */
function movesBetween(
  absent: readonly string[],
  present: ReadonlyMap<string, Identity>,
  known: ReadonlyMap<string, Identity>,
): ReadonlySet<string> {
  const left = new Set(absent.map((file) => known.get(file)?.inode ?? ''));
  const moved = new Set<string>();
  for (const [file, { inode }] of present) if (!known.has(file) && left.has(inode)) moved.add(inode);
  return moved;
}

function isBelow(file: string, directories: readonly string[]): boolean {
  return directories.some((directory) => file === directory || file.startsWith(`${directory}/`));
}

function sameInode(a: Identity, b: Identity): boolean {
  return a.inode === b.inode;
}

function isEmptied(identity: Identity | null): boolean {
  return identity !== null && identity.isEmpty;
}

function isFileSystemError(error: unknown): boolean {
  return error instanceof Error && 'code' in error;
}
