/**
 * Folders of resource files as a source: loaded whole before anything is served, then watched. Only a file that
 * changed is read again, and all that changed together is one transaction, so that a resource moved between files
 * is never gone in between.
 *
 * A folder that vanishes while we run keeps its resources: an unmounted disk is not a wish to delete a mesh.
 */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { formatProblem, type Problem } from '@sluice/api';
import type { Logger } from '@sluice/runtime';
import { localError } from '../errors.ts';
import { FileWatch, listFolder, type ScannedFiles, type SettledChanges } from './file-watch.ts';
import type { FolderFile, FolderObject, ResourceStore } from './store.ts';

/** Turns a file's text into objects with their places, and everything that is wrong with it. */
export type ReadResourceText = (
  text: string,
  file: string,
) => { readonly objects: readonly FolderObject[]; readonly problems: readonly Problem[] };

export interface FolderSourceOptions {
  /** Folders, or single files. */
  readonly paths: readonly string[];
  /** Likewise, but may be missing: taken over when they appear. */
  readonly optionalPaths?: readonly string[];
  readonly store: ResourceStore;
  readonly read: ReadResourceText;
  readonly log: Logger;
}

export interface FolderSource {
  readonly files: readonly string[];
  /** Looks for changes now rather than within the next tenth of a second. */
  look(): void;
  close(): void;
}

/** Settings of the mesh, not a resource: read by mesh-config.ts. */
export const meshFileName = 'sluice.yaml';
const extensions = /\.(?:ya?ml|json)$/;
/** A resource file beyond this is a mistake (a dump, a log); it is refused before it is read into memory. */
const maxFileBytes = 16 * 1024 * 1024;
/** While the disk refuses writes, files wait this long before they are tried again. */
const retryWriteMs = 1000;
/** Changed at once, beyond which they are counted. */
const maxLoggedFiles = 20;

/** Loads everything, then watches. Throws `resources-missing` when a path is not there at the start. */
export function openFolderSource(options: FolderSourceOptions): FolderSource {
  const source = new Folders(options);
  source.load();
  return source;
}

class Folders implements FolderSource {
  readonly #store: ResourceStore;
  readonly #read: ReadResourceText;
  readonly #log: Logger;
  readonly #paths: readonly string[];
  readonly #watch: FileWatch;
  readonly #loaded = new Map<string, FolderFile>();
  /** Files with a second definition, tried again when the first may have gone. */
  readonly #refused = new Set<string>();
  /** Read, but not stored because the disk is full. */
  readonly #unwritten = new Map<string, FolderFile>();
  readonly #missing = new Set<string>();
  /** Optional paths that were never there. */
  readonly #awaited: Set<string>;
  readonly #unsubscribe: () => void;
  /** The last write found no room. */
  #wasFull = false;
  #retry: ReturnType<typeof setTimeout> | undefined;

  constructor(options: FolderSourceOptions) {
    this.#store = options.store;
    this.#read = options.read;
    this.#log = options.log;
    const optional = (options.optionalPaths ?? []).map((path) => resolve(path));
    this.#paths = [...options.paths.map((path) => resolve(path)), ...optional];
    this.#awaited = new Set(optional);
    this.#watch = new FileWatch({
      scan: () => this.#scan(),
      onSettled: (changes) => this.#apply(changes),
      onError: (error) => this.#log.error('looking for changed files failed', { error: String(error) }),
    });
    this.#unsubscribe = options.store.subscribe((changes) => {
      if (changes.some((change) => change.type === 'delete' || change.before?.origin.source === 'folder')) {
        queueMicrotask(() => this.#retryRefused());
      }
    });
  }

  get files(): readonly string[] {
    return [...this.#loaded.keys()];
  }

  load(): void {
    for (const path of this.#paths) {
      if (!existsSync(path) && !this.#awaited.has(path))
        throw localError(
          'resources-missing',
          `${path} does not exist; create it, or name another with --resources`,
        );
    }
    const { files } = this.#watch.prime();
    const leftOver = this.#store.files.filter((file) => !files.includes(file));
    this.#apply({ changed: files, gone: leftOver });
    this.#watch.start();
  }

  look(): void {
    this.#watch.look();
  }

  close(): void {
    clearTimeout(this.#retry);
    this.#unsubscribe();
    this.#watch.close();
  }

  #scan(): ScannedFiles {
    const files: string[] = [];
    const directories: string[] = [];
    const unreadable: string[] = [];
    for (const path of this.#paths) {
      // The poll finds it: what else happens beside it is none of our business.
      if (this.#awaited.has(path) && !existsSync(path)) continue;
      this.#awaited.delete(path);
      try {
        if (statSync(path).isFile()) {
          files.push(path);
          directories.push(dirname(path));
          continue;
        }
        const listed = listFolder(path);
        files.push(...listed.files.filter(isResourceFile));
        directories.push(...listed.directories);
        this.#missing.delete(path);
      } catch (error) {
        unreadable.push(path);
        if (this.#missing.has(path)) continue;
        this.#missing.add(path);
        this.#log.error('a resource folder cannot be read; its resources stay as they were', {
          path,
          error: error instanceof Error ? error.message : String(error),
        });
      }
    }
    return { files, directories, unreadable };
  }

  #apply({ changed, gone }: SettledChanges): void {
    const files: FolderFile[] = gone.map((file) => ({ file, objects: [], problems: [] }));
    for (const file of changed) files.push(this.#readFile(file));
    this.#logChanges(files, new Set(gone));
    this.#submit(files);
    for (const file of gone) {
      this.#loaded.delete(file);
      this.#refused.delete(file);
    }
    this.#retryRefused(new Set(changed));
  }

  /** Each file, unless so many changed at once (a checkout) that nobody would read of each; problems always. */
  #logChanges(files: readonly FolderFile[], gone: ReadonlySet<string>): void {
    const isMany = files.length > maxLoggedFiles;
    if (isMany) this.#log.info('resource files read', { files: files.length - gone.size, gone: gone.size });
    for (const { file, problems, objects } of files) {
      if (!isMany && gone.has(file)) this.#log.info('resource file gone', { file });
      else if (!isMany) this.#log.info('resource file read', { file, resources: objects.length });
      for (const problem of [...problems, ...objects.flatMap((object) => object.problems)]) {
        if (problem.severity === 'notice') this.#log.info(formatProblem(problem));
        else this.#log.warning(formatProblem(problem));
      }
    }
  }

  #readFile(file: string): FolderFile {
    try {
      const size = statSync(file).size;
      if (size > maxFileBytes) {
        return unreadableFile(file, `is larger than ${maxFileBytes / 1024 / 1024} MiB and is not read`);
      }
      return { file, ...this.#read(readFileSync(file, 'utf8'), file) };
    } catch (error) {
      return unreadableFile(
        file,
        `cannot be read: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }

  #submit(files: readonly FolderFile[]): void {
    for (const file of files) {
      this.#loaded.set(file.file, file);
      this.#unwritten.set(file.file, file);
    }
    const submitted = [...this.#unwritten.values()];
    const failures = this.#store.replaceFiles(submitted);
    const isFull = failures.some((failure) => failure.code === 'state-unwritable');
    // Said once: the disk is tried every second.
    for (const { code, message } of failures)
      if (code !== 'state-unwritable' || !this.#wasFull) this.#log.warning(message);
    if (this.#wasFull && !isFull) this.#log.info('the disk takes writes again; what had waited is in use');
    this.#wasFull = isFull;
    if (isFull) {
      clearTimeout(this.#retry);
      this.#retry = setTimeout(() => this.#submit([]), retryWriteMs);
      return;
    }
    this.#unwritten.clear();
    for (const { file } of submitted) this.#noteRefusal(file);
  }

  #noteRefusal(file: string): void {
    const problems = this.#store.fileProblems.get(file) ?? [];
    if (problems.some((problem) => problem.code === 'duplicate-resource')) this.#refused.add(file);
    else this.#refused.delete(file);
  }

  /** Gives second definitions another chance; quiet, since their refusal has been logged. */
  #retryRefused(except: ReadonlySet<string> = new Set()): void {
    const files = [...this.#refused]
      .filter((file) => !except.has(file))
      .flatMap((file) => this.#loaded.get(file) ?? []);
    if (files.length === 0) return;
    this.#store.replaceFiles(files);
    for (const { file } of files) this.#noteRefusal(file);
  }
}

function isResourceFile(file: string): boolean {
  return extensions.test(file) && basename(file) !== meshFileName;
}

function unreadableFile(file: string, message: string): FolderFile {
  const problem: Problem = { code: 'unreadable-file', severity: 'error', path: '', file, message };
  return { file, objects: [], problems: [problem] };
}
