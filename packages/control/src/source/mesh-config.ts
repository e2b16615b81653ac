/**
 * `meshConfig:` of sluice.yaml as a live value: read and valid at the start, watched after that. A broken edit
 * keeps the settings that were in use and says what is wrong with it, as for any resource.
 */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { formatProblem, meshSettings, readSluiceFile, type MeshSettings, type Problem } from '@sluice/api';
import { canonicalJson, type Logger } from '@sluice/runtime';
import { localError } from '../errors.ts';
import { FileWatch } from './file-watch.ts';

export interface MeshConfigOptions {
  /** Undefined for a mesh with defaults. */
  readonly file: string | undefined;
  readonly log: Logger;
  readonly onChange: (settings: MeshSettings) => void;
}

export interface MeshConfigSource {
  readonly settings: MeshSettings;
  /** Of the file as it is now; an error means that older settings are in use. */
  readonly problems: readonly Problem[];
  close(): void;
}

/** Settings that names of services and identities are made of: taking them over needs a restart. */
const fixedSettings = ['clusterDomain', 'trustDomain', 'rootNamespace'] as const;

/** Reads once. Throws `mesh-config-invalid` with all problems. */
export function loadMeshConfig(file: string): MeshSettings {
  const { settings, problems } = read(file);
  if (settings === undefined) throw localError('mesh-config-invalid', problems.map(formatProblem).join('\n'));
  return settings;
}

export function openMeshConfig({ file, log, onChange }: MeshConfigOptions): MeshConfigSource {
  if (file === undefined) return { settings: meshSettings(), problems: [], close: () => {} };
  const path = resolve(file);
  let settings = loadMeshConfig(path);
  let problems: readonly Problem[] = [];
  const reload = (): void => {
    const next = read(path);
    problems = next.problems;
    for (const problem of problems) log.warning(formatProblem(problem));
    if (next.settings === undefined) {
      log.error('the mesh settings are broken; the last good ones stay in use', { file: path });
      return;
    }
    const kept = keepFixed(settings, next.settings, log);
    if (canonicalJson(kept) === canonicalJson(settings)) return;
    settings = kept;
    log.info('mesh settings changed', { file: path });
    onChange(settings);
  };
  const watch = new FileWatch({
    scan: () => ({ files: [path], directories: [dirname(path)], unreadable: [] }),
    onSettled: ({ changed, gone }) => {
      if (changed.length > 0) reload();
      else if (gone.length > 0)
        log.warning('the mesh settings file is gone; its settings stay in use', { file: path });
    },
    onError: (error) => log.error('looking for changed mesh settings failed', { error: String(error) }),
  });
  watch.prime();
  watch.start();
  return {
    get settings() {
      return settings;
    },
    get problems() {
      return problems;
    },
    close: () => watch.close(),
  };
}

function keepFixed(before: MeshSettings, after: MeshSettings, log: Logger): MeshSettings {
  const changed = fixedSettings.filter((field) => before[field] !== after[field]);
  if (changed.length === 0) return after;
  log.warning(`changing ${changed.join(', ')} takes effect after a restart of the control plane`);
  const { clusterDomain, trustDomain, rootNamespace } = before;
  return { ...after, clusterDomain, trustDomain, rootNamespace };
}

function read(file: string): {
  readonly settings: MeshSettings | undefined;
  readonly problems: readonly Problem[];
} {
  try {
    const { config, problems } = readSluiceFile(readFileSync(file, 'utf8'), file);
    return { settings: config?.mesh, problems };
  } catch (error) {
    const message = `cannot be read: ${error instanceof Error ? error.message : String(error)}`;
    return {
      settings: undefined,
      problems: [{ code: 'unreadable-file', severity: 'error', path: '', file, message }],
    };
  }
}
