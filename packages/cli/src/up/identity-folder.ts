/**
 * How a sidecar of ours gets its first certificate: a join token in a 0600 file of a folder of its own, which the
 * sidecar then keeps its key and certificate in. Each start begins with an empty folder and a fresh token: what was
 * left by an earlier mesh may be of an authority that is gone.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { ApiClient } from '../mesh/api-client.ts';
import { makePrivateDir, stateFiles, writeFileWhole } from '../mesh/state-dir.ts';

export interface IdentityFolderOptions {
  readonly client: ApiClient;
  readonly stateDir: string;
  /** Of the instance: `reviews-v1-0`. */
  readonly name: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  /** `host:port` of the control plane's secure port. */
  readonly authority: string;
}

const tokenFile = 'join-token';
/** A laptop that slept this long goes on with the certificate it had. */
const expiredRenewalSeconds = 48 * 3600;

export class IdentityFolder {
  readonly #options: IdentityFolderOptions;
  readonly #path: string;

  constructor(options: IdentityFolderOptions) {
    this.#options = options;
    this.#path = join(options.stateDir, stateFiles.identity, `${options.name}.${options.namespace}`);
  }

  /** Throws what the API throws. */
  async prepare(): Promise<void> {
    const { client, name, namespace, serviceAccount, stateDir } = this.#options;
    const { token } = await client.post<{ readonly token: string }>('/sluice/v1/tokens', {
      namespace,
      serviceAccount,
      instance: `${name}.${namespace}`,
    });
    mkdirSync(join(stateDir, stateFiles.identity), { recursive: true, mode: 0o700 });
    rmSync(this.#path, { recursive: true, force: true });
    makePrivateDir(this.#path);
    writeFileWhole(join(this.#path, tokenFile), `${token}\n`);
  }

  /** Flags of the sidecar. */
  get flags(): readonly string[] {
    return [
      '--ca-address',
      this.#options.authority,
      '--identity-token-file',
      join(this.#path, tokenFile),
      '--identity-dir',
      this.#path,
      '--allow-expired-renewal-s',
      String(expiredRenewalSeconds),
    ];
  }

  /** The key goes with the sidecar. */
  remove(): void {
    rmSync(this.#path, { recursive: true, force: true });
  }
}
