/**
 * `meshConfig:` of sluice.yaml as a live value: read and valid at the start, watched after that. A broken edit
 * keeps the settings that were in use and says what is wrong with it, as for any resource, and over a restart, too:
 * a control plane that ends must come back however its file looks by then.
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { formatProblem, meshSettings, readSluiceFile, type MeshSettings, type Problem } from '@sluice/api';
import { canonicalJson, type Logger } from '@sluice/runtime';
import { localError } from '../errors.ts';
import { FileWatch } from './file-watch.ts';

export interface MeshConfigOptions {
  /** Undefined for a mesh with defaults. */
  readonly file: string | undefined;
  /** Where a copy of the last good file is kept. */
  readonly lastGood?: string;
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

/** Throws `mesh-config-invalid` for a file that is broken and was never good. */
export function openMeshConfig({ file, lastGood, log, onChange }: MeshConfigOptions): MeshConfigSource {
  if (file === undefined) return { settings: meshSettings(), problems: [], close: () => {} };
  const path = resolve(file);
  const first = readFirst(path, lastGood, log);
  let { settings, problems } = first;
  const reload = (): void => {
    const next = read(path);
    problems = next.problems;
    for (const problem of problems) log.warning(formatProblem(problem));
    if (next.settings === undefined) {
      log.error('the mesh settings are broken; the last good ones stay in use', { file: path });
      return;
    }
    keep(next.text, path, lastGood, log);
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

interface FirstSettings {
  readonly settings: MeshSettings;
  readonly problems: readonly Problem[];
}

function readFirst(path: string, lastGood: string | undefined, log: Logger): FirstSettings {
  const present = read(path);
  if (present.settings !== undefined) {
    keep(present.text, path, lastGood, log);
    return { settings: present.settings, problems: [] };
  }
  const before = lastGood === undefined || !existsSync(lastGood) ? undefined : read(lastGood);
  if (before?.settings === undefined || !before.text.startsWith(headOf(path)))
    return { settings: loadMeshConfig(path), problems: [] };
  for (const problem of present.problems) log.warning(formatProblem(problem));
  log.error('the mesh settings are broken; the last good ones stay in use', { file: path });
  return { settings: before.settings, problems: present.problems };
}

/** A copy that is of another file is none. */
function headOf(path: string): string {
  return `# last good content of ${path}\n`;
}

function keep(text: string, path: string, lastGood: string | undefined, log: Logger): void {
  if (lastGood === undefined) return;
  try {
    writeFileSync(`${lastGood}.tmp`, `${headOf(path)}${text}`, { mode: 0o600 });
    renameSync(`${lastGood}.tmp`, lastGood);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    log.warning('the mesh settings could not be kept for the next start', { error: error.message });
  }
}

function keepFixed(before: MeshSettings, after: MeshSettings, log: Logger): MeshSettings {
  const changed = fixedSettings.filter((field) => before[field] !== after[field]);
  if (changed.length === 0) return after;
  log.warning(`changing ${changed.join(', ')} takes effect after a restart of the control plane`);
  const { clusterDomain, trustDomain, rootNamespace } = before;
  return { ...after, clusterDomain, trustDomain, rootNamespace };
}

interface ReadSettings {
  readonly settings: MeshSettings | undefined;
  readonly problems: readonly Problem[];
  readonly text: string;
}

function read(file: string): ReadSettings {
  try {
    const text = readFileSync(file, 'utf8');
    const { config, problems } = readSluiceFile(text, file);
    return { settings: config?.mesh, problems, text };
  } catch (error) {
    const message = `cannot be read: ${error instanceof Error ? error.message : String(error)}`;
    return {
      settings: undefined,
      problems: [{ code: 'unreadable-file', severity: 'error', path: '', file, message }],
      text: '',
    };
  }
}
