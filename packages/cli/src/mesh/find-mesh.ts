/**
 * Which mesh a command means: the one named by flags or environment, else the one whose state directory is here or
 * further up, else a running one of this user, those below this folder first.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve, sep } from 'node:path';
import type { ParsedArgs } from '../args/parse.ts';
import { cliError } from '../errors.ts';
import {
  isRunning,
  readMeshRecord,
  recordedMeshes,
  runningMeshes,
  type Env,
  type MeshRecord,
} from './mesh-record.ts';
import { aliveProcesses } from '../process/ledger.ts';
import { stateDirName, stateFiles } from './state-dir.ts';

export interface FoundMesh {
  /** `http://host:port`, without a slash at the end. */
  readonly apiUrl: string;
  readonly token: string;
  /** Undefined for a mesh reached by --server. */
  readonly stateDir: string | undefined;
  /** Undefined when no `sluice up` runs it. */
  readonly record: MeshRecord | undefined;
  /** A sentence when its `up` was killed and what it started goes on without it. */
  readonly abandonment: string | undefined;
}

const defaultApi = '127.0.0.1:15080';

export interface FindMeshOptions {
  readonly args: ParsedArgs;
  readonly env: Env;
  readonly cwd: string;
}

/** Throws `mesh-not-found` with what to do. */
export function findMesh(options: FindMeshOptions): FoundMesh {
  const { args, env } = options;
  const server = args.text('server') ?? env['SLUICE_SERVER'];
  if (server !== undefined) return byServer(server, args.text('token-file') ?? env['SLUICE_TOKEN_FILE']);
  return byStateDir(findStateDir(options));
}

/** The state directory alone, for commands that read files and not the API. */
export function findStateDir({ args, env, cwd }: FindMeshOptions): string {
  const named = args.text('state-dir') ?? env['SLUICE_STATE_DIR'];
  if (named !== undefined) return resolve(cwd, named);
  const above = searchUpwards(cwd);
  if (above !== undefined) return above;
  const running = runningMeshes(env);
  const below = running.filter(({ dir }) => dir.startsWith(`${resolve(cwd)}${sep}`));
  const candidates = below.length > 0 ? below : running;
  const [only, second] = candidates;
  if (only === undefined) {
    const start = 'start one with "sluice up", or name it with --state-dir or --server';
    throw cliError('mesh-not-found', `no mesh runs here: ${leftBehind(env) ?? start}`);
  }
  if (second !== undefined) {
    const list = candidates.map(({ name, stateDir }) => `  --state-dir ${stateDir}  (${name})`).join('\n');
    throw cliError('mesh-not-found', `several meshes run: choose one\n${list}`);
  }
  return only.stateDir;
}

/** A mesh whose `up` was killed goes on serving, and nobody looks after it. */
function leftBehind(env: Env): string | undefined {
  for (const record of recordedMeshes(env)) {
    const sentence = abandonmentOf(record);
    if (sentence !== undefined) return sentence;
  }
  return undefined;
}

function abandonmentOf(record: MeshRecord): string | undefined {
  if (isRunning(record)) return undefined;
  const { length } = aliveProcesses(record.stateDir);
  if (length === 0) return undefined;
  const left = `${length} ${length === 1 ? 'process' : 'processes'}`;
  return `"sluice up" of ${record.dir} was killed and left ${left} behind; "sluice up ${record.dir}" ends them and starts it again`;
}

/** A folder's state directory, its own or that of a folder above, if a control plane was ever there. */
function searchUpwards(from: string): string | undefined {
  for (let folder = resolve(from); ; folder = dirname(folder)) {
    const candidate = join(folder, stateDirName);
    if (existsSync(join(candidate, stateFiles.token))) return candidate;
    if (folder === dirname(folder)) return undefined;
  }
}

function byStateDir(stateDir: string): FoundMesh {
  const record = readMeshRecord(stateDir);
  const running = record !== undefined && isRunning(record) ? record : undefined;
  const abandonment = record === undefined ? undefined : abandonmentOf(record);
  const serving = abandonment === undefined ? running : record;
  return {
    apiUrl: `http://${serving?.api ?? defaultApi}`,
    token: readToken(join(stateDir, stateFiles.token)),
    stateDir,
    record: running,
    abandonment,
  };
}

function byServer(server: string, tokenFile: string | undefined): FoundMesh {
  if (tokenFile === undefined) {
    throw cliError(
      'usage',
      '--server needs --token-file: the file "token" in the state directory of that control plane',
    );
  }
  const url = server.includes('://') ? server : `http://${server}`;
  if (!URL.canParse(url))
    throw cliError('usage', `--server ${server} is not an address: write http://HOST:PORT`);
  return {
    apiUrl: url.replace(/\/+$/, ''),
    token: readToken(tokenFile),
    stateDir: undefined,
    record: undefined,
    abandonment: undefined,
  };
}

function readToken(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (cause) {
    throw cliError(
      'mesh-not-found',
      `the token file ${path} cannot be read: check the folder, or start the mesh with "sluice up"`,
      cause,
    );
  }
}
