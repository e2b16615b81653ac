/**
 * watch: changes as JSON lines, from a revision on. The log and the subscription meet without a gap, because the
 * store is single-threaded and both are taken in one turn.
 *
 * A watcher that reads too slowly is cut off rather than buffered for: it comes back with its last revision.
 */
import type { KubeObject } from '@sluice/api';
import type { ResourceStore, WatchedChange } from '../../source/store.ts';
import { inVersion, readCount, readRevision, selectObjects } from './read.ts';
import { apiVersionOf, type ResourcePath } from './resource-path.ts';
import { isSelected, readSelection, type Selection } from './selection.ts';
import { ApiError, failureBody } from './status-body.ts';

export type WatchEventType = 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';

export interface WatchOptions {
  readonly store: ResourceStore;
  readonly path: ResourcePath;
  readonly query: URLSearchParams;
  /** Objects as the client wants to see them: as they are, or as rows of a table. */
  readonly present: (object: KubeObject, isFirst: boolean) => unknown;
}

const bookmarkIntervalMs = 60_000;
const defaultTimeoutMs = 30 * 60_000;
/** Bytes that may wait for a slow reader. */
const maxBufferedBytes = 4 * 1024 * 1024;
const encoder = new TextEncoder();

/** A stream of watch events; ends at `timeoutSeconds`, when the reader leaves, or when it is too slow. */
export function watchObjects(options: WatchOptions): ReadableStream<Uint8Array> {
  const watch = new Watch(options);
  return new ReadableStream<Uint8Array>(
    {
      start: (controller) => watch.start(controller),
      cancel: () => watch.stop(),
    },
    new ByteLengthQueuingStrategy({ highWaterMark: maxBufferedBytes }),
  );
}

class Watch {
  readonly #options: WatchOptions;
  readonly #selection: Selection;
  readonly #from: number | null;
  readonly #wantsInitialEvents: boolean;
  readonly #wantsBookmarks: boolean;
  readonly #timeoutMs: number;
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  #unsubscribe: () => void = () => {};
  #timers: ReturnType<typeof setTimeout>[] = [];
  #isFirst = true;
  #hasWritten = false;

  /** Throws ApiError 400 for a query that is not understood, so that the reply is a status and not a stream. */
  constructor(options: WatchOptions) {
    const { query, path } = options;
    this.#options = options;
    this.#selection = readSelection(query, path.namespace);
    this.#from = readRevision(query);
    this.#wantsBookmarks = isTrue(query, 'allowWatchBookmarks');
    this.#wantsInitialEvents = isTrue(query, 'sendInitialEvents');
    if (this.#wantsInitialEvents && query.get('resourceVersionMatch') !== 'NotOlderThan') {
      throw new ApiError(400, 'sendInitialEvents needs resourceVersionMatch=NotOlderThan');
    }
    const seconds = readCount(query, 'timeoutSeconds');
    this.#timeoutMs = seconds > 0 ? seconds * 1000 : defaultTimeoutMs;
  }

  start(controller: ReadableStreamDefaultController<Uint8Array>): void {
    this.#controller = controller;
    const { store } = this.#options;
    const isFromNow = this.#from === null || this.#from === 0 || this.#wantsInitialEvents;
    const missed = isFromNow ? [] : store.changesSince(this.#from ?? 0);
    if (missed === null || (this.#from ?? 0) > store.revision) {
      this.#refuse();
      return;
    }
    if (isFromNow) this.#sendPresent();
    this.#unsubscribe = store.subscribe((changes) => this.#forward(changes));
    this.#timers = [setTimeout(() => this.#end(), this.#timeoutMs)];
    if (this.#wantsBookmarks) {
      this.#timers.push(setInterval(() => this.#bookmark(store.revision), bookmarkIntervalMs));
    }
    this.#forward(missed);
    // The server sends the head of a reply with its first bytes; white space between JSON texts means nothing.
    if (!this.#hasWritten) controller.enqueue(encoder.encode('\n'));
  }

  stop(): void {
    this.#controller = null;
    this.#unsubscribe();
    for (const timer of this.#timers) clearTimeout(timer);
  }

  #sendPresent(): void {
    const { store, path } = this.#options;
    for (const object of selectObjects(store, path, this.#selection)) this.#send('ADDED', object);
    if (this.#wantsInitialEvents) this.#bookmark(store.revision, { 'k8s.io/initial-events-end': 'true' });
  }

  #forward(changes: readonly WatchedChange[]): void {
    const { group, kind } = this.#options.path.info;
    for (const change of changes) {
      if (change.key.group !== group || change.key.kind !== kind) continue;
      const event = toEvent(change, this.#selection);
      if (event !== null) this.#send(event.type, event.object);
    }
  }

  #refuse(): void {
    const message = `the changes since resourceVersion ${this.#from} are no longer held; list again and watch from there`;
    this.#write('ERROR', failureBody(new ApiError(410, message)));
    this.#end();
  }

  #bookmark(revision: number, annotations?: Record<string, string>): void {
    const { path } = this.#options;
    const metadata = {
      resourceVersion: String(revision),
      ...(annotations === undefined ? {} : { annotations }),
    };
    this.#write('BOOKMARK', { apiVersion: apiVersionOf(path), kind: path.info.kind, metadata });
  }

  #send(type: WatchEventType, object: KubeObject): void {
    const shown = inVersion(object, apiVersionOf(this.#options.path));
    this.#write(type, this.#options.present(shown, this.#isFirst));
    this.#isFirst = false;
  }

  #write(type: WatchEventType, object: unknown): void {
    const controller = this.#controller;
    if (controller === null) return;
    this.#hasWritten = true;
    controller.enqueue(encoder.encode(`${JSON.stringify({ type, object })}\n`));
    if ((controller.desiredSize ?? 0) < 0) this.#end();
  }

  #end(): void {
    const controller = this.#controller;
    this.stop();
    controller?.close();
  }
}

/** What a change is to a watcher that sees only its selection. Deletions carry the revision of the deletion. */
function toEvent(
  change: WatchedChange,
  selection: Selection,
): { type: WatchEventType; object: KubeObject } | null {
  const wasSeen = change.before !== null && isSelected(selection, change.before.object);
  const isSeen = change.after !== null && isSelected(selection, change.after.object);
  if (change.after !== null && isSeen) {
    return { type: wasSeen ? 'MODIFIED' : 'ADDED', object: change.after.object };
  }
  if (change.before === null || !wasSeen) return null;
  const last = change.after?.object ?? change.before.object;
  const metadata = { ...last.metadata, resourceVersion: String(change.revision) };
  return { type: 'DELETED', object: { ...last, metadata } };
}

function isTrue(query: URLSearchParams, name: string): boolean {
  const value = query.get(name);
  return value === 'true' || value === '1';
}
