/**
 * Where a workload keeps its credential, so that a restart goes on with it instead of needing a new token.
 *
 * Key and chain are one file: a rename puts both in place at once, so that no crash leaves a key beside
 * another key's certificate. Directory 0700, files 0600; what is found with wider modes is narrowed. What belongs
 * to another user is refused, by root as well, who could read it: its owner could exchange key and trust at will.
 */
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
  type Stats,
} from 'node:fs';
import { join } from 'node:path';

export interface StoredCredential {
  /** Private key, then the chain, leaf first. */
  readonly pem: string;
  /** Wall clock, ms, of when it was written. */
  readonly obtainedMs: number;
}

/** What the agent needs of a place that outlives the process. */
export interface IdentityStore {
  load(): StoredCredential | null;
  loadRoots(): string | null;
  /** The key that a token was shown for, while no certificate has come for it. */
  loadPendingKey(): string | null;
  save(pem: string): void;
  saveRoots(pem: string): void;
  loadRevocations(): string | null;
  /** Empty: there are none. */
  saveRevocations(pem: string): void;
  /** Null: it is no longer pending. */
  savePendingKey(pem: string | null): void;
}

const credentialFile = 'credential.pem';
const rootsFile = 'roots.pem';
const revocationsFile = 'revocations.pem';
const pendingFile = 'pending-key.pem';
const ownFiles = [credentialFile, rootsFile, revocationsFile, pendingFile];
const directoryMode = 0o700;
const fileMode = 0o600;
const othersMask = 0o077;

export class IdentityDir implements IdentityStore {
  readonly #path: string;

  /** Throws when the directory cannot be made, or when it or one of its files is somebody else's. */
  constructor(path: string, ownUid = process.geteuid?.()) {
    this.#path = path;
    mkdirSync(path, { recursive: true, mode: directoryMode });
    const { mode } = requireOwn(path, ownUid);
    if ((mode & othersMask) !== 0) chmodSync(path, directoryMode);
    // While the directory was open to others they may have put something there.
    for (const name of ownFiles) {
      const file = join(path, name);
      if (existsSync(file)) requireOwn(file, ownUid);
    }
  }

  load(): StoredCredential | null {
    const pem = this.#read(credentialFile);
    return pem === null
      ? null
      : { pem, obtainedMs: Math.floor(statSync(join(this.#path, credentialFile)).mtimeMs) };
  }

  loadRoots(): string | null {
    return this.#read(rootsFile);
  }

  loadPendingKey(): string | null {
    return this.#read(pendingFile);
  }

  save(pem: string): void {
    this.#write(credentialFile, pem);
  }

  saveRoots(pem: string): void {
    this.#write(rootsFile, pem);
  }

  loadRevocations(): string | null {
    return this.#read(revocationsFile);
  }

  saveRevocations(pem: string): void {
    if (pem !== '') this.#write(revocationsFile, pem);
    else rmSync(join(this.#path, revocationsFile), { force: true });
  }

  savePendingKey(pem: string | null): void {
    if (pem !== null) this.#write(pendingFile, pem);
    else rmSync(join(this.#path, pendingFile), { force: true });
  }

  #read(name: string): string | null {
    const path = join(this.#path, name);
    if (!existsSync(path)) return null;
    if ((statSync(path).mode & othersMask) !== 0) chmodSync(path, fileMode);
    return readFileSync(path, 'utf8');
  }

  #write(name: string, text: string): void {
    const path = join(this.#path, name);
    const temporary = `${path}.new`;
    rmSync(temporary, { force: true });
    const fd = openSync(temporary, 'wx', fileMode);
    try {
      writeSync(fd, text);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
  }
}

function requireOwn(path: string, ownUid: number | undefined): Stats {
  const stats = statSync(path);
  if (ownUid !== undefined && stats.uid !== ownUid)
    throw new Error(
      `${path} belongs to another user (uid ${stats.uid}, this process runs as ${ownUid}), who could exchange the workload's key and whom it trusts`,
    );
  return stats;
}
