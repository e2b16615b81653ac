/** The processes of one proxy, each taking over from the one before. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeTempDir } from '@sluice/testkit';
import { startProxy, type StartedProxy } from '../proxy-process.test-double.ts';

export class Generations {
  readonly bootstrap: object;
  readonly #args: readonly string[];
  readonly #baseIdPath = join(makeTempDir(), 'base-id');
  #epoch = 0;

  constructor(bootstrap: object, args: readonly string[] = []) {
    this.bootstrap = bootstrap;
    this.#args = args;
  }

  get baseId(): string {
    return readFileSync(this.#baseIdPath, 'utf8').trim();
  }

  async first(): Promise<StartedProxy> {
    const proxy = startProxy(this.bootstrap, [
      '--use-dynamic-base-id',
      '--base-id-path',
      this.#baseIdPath,
      ...this.#args,
    ]);
    await proxy.ready();
    return proxy;
  }

  /** The next epoch, not waited for. */
  next(bootstrap: object = this.bootstrap): StartedProxy {
    const epoch = String(++this.#epoch);
    return startProxy(bootstrap, ['--restart-epoch', epoch, '--base-id', this.baseId, ...this.#args]);
  }

  /** The epoch is given again, after its process has died. */
  forget(): void {
    this.#epoch--;
  }
}
