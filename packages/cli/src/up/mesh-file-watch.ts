/**
 * Says on the terminal what of an edited sluice.yaml waits for the next start. `meshConfig` goes live in the control
 * plane, which also says what is wrong with the file; workloads, ports and folders are settled when `up` starts, and an
 * edit that seems to do nothing would be looked for in the wrong place.
 */
import { statSync } from 'node:fs';
import { canonicalJson } from '@sluice/runtime';
import { hasCliCode } from '../errors.ts';
import type { Timers } from '../process/supervisor.ts';
import { meshFileName, readMeshFile, type MeshFile } from './mesh-file.ts';

export interface MeshFileWatchOptions {
  /** As the mesh was started from it. */
  readonly file: MeshFile;
  readonly timers: Timers;
  readonly say: (text: string) => void;
}

const pollMs = 1000;

export class MeshFileWatch {
  readonly #options: MeshFileWatchOptions;
  #stamp: string;
  #said = '';
  #cancel: () => void = () => {};

  constructor(options: MeshFileWatchOptions) {
    this.#options = options;
    this.#stamp = stampOf(options.file.path);
  }

  start(): void {
    this.#cancel = this.#options.timers.after(pollMs, () => {
      this.look();
      this.start();
    });
  }

  stop(): void {
    this.#cancel();
  }

  look(): void {
    const { file, say } = this.#options;
    const stamp = stampOf(file.path);
    if (stamp === this.#stamp) return;
    this.#stamp = stamp;
    const present = read(file.path);
    if (present === undefined) return;
    const waiting = waitingChanges(file, present);
    const text =
      waiting.length === 0
        ? ''
        : `${meshFileName} changed: ${waiting.join(', ')} ${waiting.length === 1 ? 'takes' : 'take'} effect when the mesh is started again (Ctrl-C, then up)`;
    if (text === this.#said) return;
    this.#said = text;
    say(text === '' ? `${meshFileName} is again what the mesh was started with` : text);
  }
}

/** What differs and is not taken over by a running mesh, in words. */
export function waitingChanges(before: MeshFile, after: MeshFile): readonly string[] {
  const present = byName(after);
  const known = byName(before);
  const workloads = [
    ...[...present].flatMap(([name, text]) => {
      if (known.get(name) === text) return [];
      return [known.has(name) ? `workload ${name}` : `new workload ${name}`];
    }),
    ...[...known.keys()].filter((name) => !present.has(name)).map((name) => `the end of workload ${name}`),
  ];
  const settings = [
    ['name', before.name, after.name],
    ['ports', before.config.ports, after.config.ports],
    ['resources', folders(before), folders(after)],
    ['meshConfig.defaultConfig', sidecars(before), sidecars(after)],
  ] as const;
  const changed = settings.filter(([, one, other]) => canonicalJson(one) !== canonicalJson(other));
  return [...workloads, ...changed.map(([name]) => name)];
}

/** A folder that has appeared since is the same folder. */
function folders({ resources, optionalResources }: MeshFile): readonly string[] {
  return [...resources, ...optionalResources].sort();
}

function byName({ config }: MeshFile): ReadonlyMap<string, string> {
  return new Map(
    config.workloads.map((workload) => {
      const name =
        workload.namespace === 'default' ? workload.name : `${workload.namespace}/${workload.name}`;
      return [name, canonicalJson(workload)];
    }),
  );
}

function sidecars({ config }: MeshFile): object {
  const { concurrency, drainDurationMs, terminationDrainDurationMs } = config.mesh;
  return { concurrency, drainDurationMs, terminationDrainDurationMs };
}

/** Undefined for a file that is gone or broken: the control plane says so. */
function read(path: string): MeshFile | undefined {
  try {
    return readMeshFile(path);
  } catch (error) {
    if (hasCliCode(error, 'file-unusable')) return undefined;
    throw error;
  }
}

function stampOf(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat === undefined ? '' : `${stat.ino} ${stat.size} ${stat.mtimeMs}`;
}
