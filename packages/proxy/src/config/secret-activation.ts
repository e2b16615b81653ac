/**
 * Secrets from arrival to the data loops: read, judged, sent before what names them, and again when they
 * change. What cannot be used changes nothing: the last good one stays.
 *
 * A name that the control plane has no secret of is not waited for: what names it goes live and refuses connections
 * until the secret is there. Only incremental ADS can say so (`removed_resources`); in the state of the world the
 * absence of a secret from a response says nothing, and the time to wait decides.
 *
 * A name has one source: the bootstrap's static secrets, a file, ADS, or the workload's own identity agent.
 * The agent's copy of the trust bundle is the exception: it serves until the control plane sends the real one.
 */
import { canonicalJson, contentHash } from '@sluice/runtime';
import type { Cluster, Listener, Secret, UnhonouredReport } from '@sluice/xds';
import type { ActivationBase } from './activation-base.ts';
import { sourceReader, type SourceRules } from './data-sources.ts';
import { inlineContexts, inlineSecret } from './inline-secret.ts';
import { newProblems, type ProblemScope } from './problems.ts';
import type { NamedSource } from './references.ts';
import { judgeSecret } from './secret-judgement.ts';
import { readSecretFile } from './secret-file.ts';
import { judgeReference, secretsOf, type SecretReference } from './secret-references.ts';
import { judge, type UnsupportedFields } from './verdict.ts';
import type { WatchedFiles } from './watched-files.ts';

export interface SecretActivationDeps extends ActivationBase {
  readonly mode: UnsupportedFields;
  readonly rules: SourceRules;
  readonly files: WatchedFiles;
  /** A secret is there, or another one now: what waits for it is looked at again. */
  arrived(name: string, secret: Secret): void;
  removed(name: string): void;
  /** The control plane has no secret of this name: what waits for it is looked at again. */
  absent(name: string): void;
  /** A file that a listener or cluster names itself was replaced. */
  replaced(kind: 'cluster' | 'listener', name: string): void;
  refused(name: string, reason: string): void;
}

export type SecretSource = 'static' | 'ads' | 'file' | 'agent';

export interface Inlined<T> {
  readonly message: T;
  /** Another one with each content of the files. */
  readonly version: string;
  /** Why the resource cannot be taken, or null. */
  readonly rejection: string | null;
}

interface Held {
  readonly source: SecretSource;
  /** As given, for reading its files again. */
  readonly given: Secret;
  /** Every DataSource inline. */
  readonly secret: Secret;
  readonly version: string;
}

export class SecretActivation {
  readonly #deps: SecretActivationDeps;
  readonly #live = new Map<string, Held>();
  readonly #own = new Set<string>();
  readonly #shared = new Set<string>();
  /** Names that the control plane is asked for. */
  #asked: ReadonlySet<string> = new Set();
  /** Those of them that it has no secret of. */
  readonly #absent = new Set<string>();
  /** By path: files of secrets that references name. */
  readonly #paths = new Map<string, Set<string>>();

  constructor(deps: SecretActivationDeps) {
    this.#deps = deps;
  }

  has(name: string): boolean {
    return this.#live.has(name);
  }

  get(name: string): Secret | null {
    return this.#live.get(name)?.secret ?? null;
  }

  sourceOf(name: string): SecretSource | null {
    return this.#live.get(name)?.source ?? null;
  }

  all(): readonly Secret[] {
    return [...this.#live.values()].map(({ secret }) => secret);
  }

  /** What a resource has not got. */
  missingFor(message: Listener | Cluster): readonly NamedSource[] {
    return secretsOf(message).filter(({ name }) => !this.#live.has(name));
  }

  /**
   * What a resource waits for: what is missing and may still come, or is not to be gone without (a time to wait of 0,
   * which means for ever: the mesh's own certificates).
   */
  awaitedBy(message: Listener | Cluster): readonly NamedSource[] {
    return this.missingFor(message).filter(
      ({ name, fetchTimeoutMs }) => fetchTimeoutMs === 0 || !this.#absent.has(name),
    );
  }

  /** The control plane has said that there is no secret of this name. */
  isAbsent(name: string): boolean {
    return this.#absent.has(name);
  }

  /**
   * With an identity agent: `own` is never asked of the control plane, which must not know its key; `shared`
   * is always asked of it, and the agent's copy serves until it answers.
   */
  reserve(own: string, shared: string): void {
    this.#own.add(own);
    this.#shared.add(shared);
  }

  /** Opens and closes files as resources name them; returns the names to subscribe to. */
  follow(messages: Iterable<Listener | Cluster>): Set<string> {
    const names = new Set(this.#shared);
    const paths = new Set<string>();
    for (const message of messages) {
      for (const reference of secretsOf(message)) {
        if (reference.origin.kind === 'ads' && !this.#isOwn(reference.name)) names.add(reference.name);
        if (reference.origin.kind === 'path') this.#open(reference.origin.path, reference.name, paths);
      }
    }
    for (const path of this.#paths.keys()) if (!paths.has(path)) this.#close(path);
    this.#asked = names;
    for (const name of this.#absent) if (!names.has(name)) this.#absent.delete(name);
    return names;
  }

  /** Forgets secrets of the control plane that nothing names any more. */
  forgetUnwanted(wanted: ReadonlySet<string>): void {
    for (const [name, { source }] of this.#live) if (source === 'ads' && !wanted.has(name)) this.#drop(name);
  }

  /** The resource with its own certificates read in. Its files are followed from now on. */
  inline<T extends Listener | Cluster>(
    kind: 'cluster' | 'listener',
    message: T,
    version: string,
    isStatic: boolean,
  ): Inlined<T> {
    const scope = newProblems();
    const reader = sourceReader(this.#deps.rules, isStatic);
    const inlined = inlineContexts(message, reader, scope);
    for (const reference of secretsOf(message)) this.#judgeReference(reference, isStatic, scope);
    const owner = `${kind}/${message.name}`;
    this.#deps.files.watch(owner, reader.files, () => this.#deps.replaced(kind, message.name));
    return {
      message: inlined,
      version: inlined === message ? version : versionOf(inlined),
      rejection: judge(scope.problems, null, this.#deps.mode).rejection,
    };
  }

  /** The resource is gone. */
  release(kind: 'cluster' | 'listener', name: string): void {
    this.#deps.files.forget(`${kind}/${name}`);
  }

  /** Returns why the secret is refused, or null. */
  put(given: Secret, version: string, decoded: UnhonouredReport | null, source: SecretSource): string | null {
    const { name } = given;
    const known = this.#live.get(name)?.source;
    if (this.#own.has(name) && source !== 'agent')
      return this.#refuse(name, version, 'this secret comes from the identity agent alone');
    // What the agent has of the trust bundle makes way for what the control plane sends, for good.
    if (known === 'ads' && source === 'agent') return null;
    if (known !== undefined && known !== source && known !== 'agent')
      return this.#refuse(name, version, `a secret of this name comes from another source (${known})`);
    return this.#load(given, version, decoded, source);
  }

  /** The control plane says that it is no more. What names it refuses connections from now on. */
  remove(name: string): void {
    // Whom to trust is never forgotten: the last bundle serves on, and certificates end by themselves.
    if (this.#shared.has(name)) return;
    const source = this.#live.get(name)?.source;
    if (source !== undefined && source !== 'ads') return;
    const isNews = this.#asked.has(name) && !this.#absent.has(name);
    if (isNews) this.#absent.add(name);
    if (source === 'ads') this.#drop(name);
    if (isNews) this.#deps.absent(name);
  }

  /** `version` empty: the content's. */
  #load(
    given: Secret,
    version: string,
    decoded: UnhonouredReport | null,
    source: SecretSource,
  ): string | null {
    const { name } = given;
    const { mode, rules, files, wallMs, warn } = this.#deps;
    const scope = newProblems();
    const reader = sourceReader(rules, source !== 'ads');
    const secret = inlineSecret(given, reader, scope);
    if (scope.problems.length === 0) judgeSecret(secret, wallMs(), scope);
    // Followed even when refused: the file that is wrong is the one that will be put right.
    files.watch(`secret/${name}`, reader.files, () => this.#reread(given, source));
    const judged = judge(scope.problems, decoded, mode);
    if (judged.rejection !== null) return this.#refuse(name, version, judged.rejection);
    if (judged.unhonoured.length > 0) warn('secret', name, judged.unhonoured);
    this.#activate({ source, given, secret, version: version || versionOf(secret) }, judged.unhonoured);
    return null;
  }

  #reread(given: Secret, source: SecretSource): void {
    const rejection = this.#load(given, '', null, source);
    if (rejection !== null) this.#deps.refused(given.name, rejection);
  }

  /** The loops look at their connections again: none goes on with a certificate that is over. */
  announceExpiry(name: string): void {
    const held = this.#live.get(name);
    if (held === undefined) return;
    const { secret, version } = held;
    this.#deps.send({ kind: 'putSecret', name, version: `${version} expired`, secret });
  }

  #activate(held: Held, unhonoured: readonly string[]): void {
    const { store, send, wallMs, arrived, changed } = this.#deps;
    const { secret, version, source } = held;
    const { name } = secret;
    const isSame = this.#live.get(name)?.version === version;
    this.#absent.delete(name);
    this.#live.set(name, held);
    const live = { message: held.given, version, updatedMs: wallMs(), unhonoured };
    store.change('secret', name, { isStatic: source === 'static', live, rejected: null });
    if (isSame) return;
    send({ kind: 'putSecret', name, version, secret });
    arrived(name, secret);
    changed();
  }

  #drop(name: string): void {
    this.#live.delete(name);
    this.#deps.files.forget(`secret/${name}`);
    this.#deps.store.remove('secret', name);
    this.#deps.send({ kind: 'removeSecret', name });
    this.#deps.removed(name);
    this.#deps.changed();
  }

  #refuse(name: string, version: string, reason: string): string {
    this.#deps.store.change('secret', name, { rejected: { version, reason, atMs: this.#deps.wallMs() } });
    return reason;
  }

  #isOwn(name: string): boolean {
    return this.#own.has(name) || this.#live.get(name)?.source === 'static';
  }

  #judgeReference(reference: SecretReference, isStatic: boolean, scope: ProblemScope): void {
    const { origin, name, path } = reference;
    const isServed = this.#own.has(name) || this.#shared.has(name) || this.#live.has(name);
    // What came over ADS can ask there; static resources were judged before the start.
    judgeReference(reference, isServed, true, scope);
    if (origin.kind === 'path' && !isStatic)
      sourceReader(this.#deps.rules, false).read({ filename: origin.path }, scope.at(path).at('sds_config'));
  }

  #open(path: string, name: string, seen: Set<string>): void {
    seen.add(path);
    const names = this.#paths.get(path);
    if (names?.has(name) === true) return;
    this.#paths.set(path, (names ?? new Set()).add(name));
    this.#deps.files.watch(`path/${path}`, [path], () => this.#readPath(path));
    this.#readPath(path);
  }

  #close(path: string): void {
    for (const name of this.#paths.get(path) ?? [])
      if (this.#live.get(name)?.source === 'file') this.#drop(name);
    this.#paths.delete(path);
    this.#deps.files.forget(`path/${path}`);
  }

  #readPath(path: string): void {
    const names = this.#paths.get(path) ?? new Set();
    const read = readSecretFile(path);
    if (typeof read === 'string') return this.#deps.refused(path, read);
    for (const { secret, report } of read) {
      if (!names.has(secret.name)) continue;
      const rejection = this.put(secret, versionOf(secret), report, 'file');
      if (rejection !== null) this.#deps.refused(secret.name, rejection);
    }
  }
}

function versionOf(message: object): string {
  return contentHash(canonicalJson(message));
}
