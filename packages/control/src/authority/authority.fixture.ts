/** An authority on a state file of its own with a clock moved by hand: what the tests of this folder begin with. */
import { join } from 'node:path';
import { generateKeySync, isProblem, parseTrustBundle, verifyChain, type KeyPair } from '@sluice/identity';
import { createLogger, FakeClock } from '@sluice/runtime';
import { makeTempDir } from '@sluice/testkit';
import { openStateFile, type StateFile } from '../source/state-file.ts';
import { defaultAuthoritySettings, type AuthoritySettings } from './authority-settings.ts';
import { sqliteAuthorityTable } from './authority-table.ts';
import { MeshAuthority, type IssuedChain, type LeafRequest } from './mesh-authority.ts';
import type { OperatorAuthority } from './operator-authority.ts';

export interface FixtureOptions {
  readonly settings?: Partial<AuthoritySettings>;
  readonly operator?: OperatorAuthority;
  /** Where TLS engines judge by the machine's clock. */
  readonly wallStartMs?: number;
}

export class AuthorityFixture {
  readonly clock: FakeClock;
  readonly logged: string[] = [];
  readonly log = createLogger({ component: 'test', write: (line) => this.logged.push(line) });
  readonly stateDir = join(makeTempDir(), 'state');
  hasReachedAll = false;
  file: StateFile = openStateFile(this.stateDir);
  authority: MeshAuthority;
  readonly #options: FixtureOptions;
  #operator: OperatorAuthority | null;

  constructor(options: FixtureOptions = {}) {
    this.#options = options;
    this.#operator = options.operator ?? null;
    this.clock = new FakeClock(0, options.wallStartMs);
    this.authority = this.#open();
  }

  /** As after a crash: the state is what was written. `operator`: another one, or none, from now on. */
  restart(operator?: OperatorAuthority | null): void {
    if (operator !== undefined) this.#operator = operator;
    this.file.close();
    this.file = openStateFile(this.stateDir);
    this.authority = this.#open();
  }

  issue(request: Partial<LeafRequest> = {}, key: KeyPair = generateKeySync()): IssuedChain {
    return this.authority.issue({
      spki: key.spki,
      namespace: 'shop',
      account: 'cart',
      binding: { instance: '', labels: {}, ports: [] },
      proof: 'join-token',
      ttlMs: 0,
      ...request,
    });
  }

  /** Does a client of the present bundle take the chain? The words of its problem otherwise. */
  verdict(chain: IssuedChain['chain'], rootsPem = this.authority.bundle.rootsPem): string {
    const bundle = parseTrustBundle('cluster.local', rootsPem);
    if (isProblem(bundle)) return bundle.message;
    const result = verifyChain(chain, bundle.roots, { nowMs: this.clock.wallMs() });
    return isProblem(result) ? result.message : 'good';
  }

  passMs(ms: number): void {
    this.clock.advance(ms);
    this.authority.check();
  }

  close(): void {
    this.file.close();
  }

  #open(): MeshAuthority {
    return new MeshAuthority({
      table: sqliteAuthorityTable(this.file),
      settings: { ...defaultAuthoritySettings, ...this.#options.settings },
      trustDomain: 'cluster.local',
      wallMs: () => this.clock.wallMs(),
      log: this.log,
      operator: this.#operator,
      hasReachedAll: () => this.hasReachedAll,
    });
  }
}
