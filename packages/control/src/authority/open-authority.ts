/**
 * The authority and everything around it put together: what was kept, what the operator brings, who may ask, and the
 * watch over what comes to its end. stack.ts opens it once the resources are restored, since one of them may be the
 * Secret `cacerts`.
 */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { secretContent, type MeshSettings, type Secret } from '@sluice/api';
import { spiffeId } from '@sluice/identity';
import type { Clock, Logger, MetricsRegistry } from '@sluice/runtime';
import { hasErrorCode, isControlError } from '../errors.ts';
import type { Leadership } from '../leader/leadership.ts';
import type { MeshIdentity } from '../serve/mesh-identity.ts';
import type { StateFile } from '../source/state-file.ts';
import type { ResourceStore } from '../source/store.ts';
import { createAuthorityMetrics, type AuthorityMetrics } from './authority-metrics.ts';
import type { AuthoritySettings } from './authority-settings.ts';
import { sqliteAuthorityTable } from './authority-table.ts';
import { ExpiryAlarm } from './expiry-alarm.ts';
import { JoinTokens } from './join-tokens.ts';
import { MeshAuthority } from './mesh-authority.ts';
import {
  operatorFiles,
  operatorSecretName,
  readOperatorAuthority,
  readOperatorFolder,
  type OperatorAuthority,
} from './operator-authority.ts';
import {
  controlAccount,
  serverNames,
  ServerCredentialKeeper,
  type ServerNames,
} from './server-credential.ts';
import { ServiceAccountTokens, type ServiceAccountSettings } from './service-account-tokens.ts';
import { signingHandler } from './signing-service.ts';

export interface IdentityOptions {
  /** `host:port` of the port with TLS. */
  readonly secureAddress: string;
  /** Names and addresses, beyond the usual ones, under which it is reached. */
  readonly names: ServerNames;
  /** Folder with the operator's authority; undefined for the Secret, or the mesh's own. */
  readonly authorityDir: string | undefined;
  readonly settings: AuthoritySettings;
  /** Undefined where service-account tokens are not taken. */
  readonly serviceAccounts: ServiceAccountSettings | undefined;
}

export interface OpenAuthorityOptions {
  readonly options: IdentityOptions;
  readonly file: StateFile;
  readonly store: ResourceStore;
  readonly leadership: Leadership;
  readonly settings: MeshSettings;
  readonly metrics: MetricsRegistry;
  readonly clock: Clock;
  readonly log: Logger;
  readonly hasReachedAll: () => boolean;
  /** `host:port` of the secure port as workloads reach it. */
  readonly secureAddress: () => string;
}

export interface OpenedAuthority extends MeshIdentity {
  readonly joinTokens: JoinTokens;
  readonly metrics: AuthorityMetrics;
  close(): void;
}

const checkIntervalMs = 2000;

/** Throws `authority-invalid`, `authority-damaged` or `identity-invalid`. */
export function openAuthority(parts: OpenAuthorityOptions): OpenedAuthority {
  const { options, file, store, settings, clock, log } = parts;
  const wallMs = (): number => clock.wallMs();
  const metrics = createAuthorityMetrics(parts.metrics);
  const read = (): OperatorAuthority | null => readOperator(parts);
  const authority = new MeshAuthority({
    table: sqliteAuthorityTable(file),
    settings: options.settings,
    trustDomain: settings.trustDomain,
    wallMs,
    log,
    operator: read(),
    hasReachedAll: parts.hasReachedAll,
  });
  const joinTokens = new JoinTokens({
    file,
    wallMs,
    pins: () => authority.pins,
    address: parts.secureAddress,
  });
  const serviceAccounts =
    options.serviceAccounts === undefined ? null : new ServiceAccountTokens(options.serviceAccounts, wallMs);
  const keeper = new ServerCredentialKeeper(
    authority,
    serverNames(options.names, options.secureAddress),
    settings.rootNamespace,
    wallMs,
  );
  const signing = signingHandler({
    authority,
    joinTokens,
    serviceAccounts,
    expiredRenewalMs: options.settings.expiredRenewalMs,
    metrics,
    controlId: spiffeId(settings.trustDomain, settings.rootNamespace, controlAccount),
    log: log.child('audit'),
  });
  const alarm = new ExpiryAlarm(authority, wallMs, log);
  const reload = (): boolean => replaceOperator(authority, read, log);
  const unsubscribe = store.subscribe((changes) => {
    if (changes.some(({ key }) => key.kind === 'Secret' && key.name === operatorSecretName)) reload();
  });
  let stamp = stampOf(options.authorityDir);
  const timer = setInterval(() => {
    const present = stampOf(options.authorityDir);
    if (present !== stamp && reload()) stamp = present;
    alarm.look();
    metrics.observe(authority, wallMs());
  }, checkIntervalMs);
  const endRotation = parts.leadership.take({
    name: 'rotation',
    begin: () => {
      const rotation = setInterval(() => authority.check(), checkIntervalMs);
      return () => clearInterval(rotation);
    },
  });
  metrics.observe(authority, wallMs());
  alarm.look();
  return {
    authority,
    keeper,
    signing,
    secureAddress: options.secureAddress,
    joinTokens,
    metrics,
    close() {
      endRotation();
      clearInterval(timer);
      unsubscribe();
    },
  };
}

/** False where it is worth another try, with the same files. */
function replaceOperator(
  authority: MeshAuthority,
  read: () => OperatorAuthority | null,
  log: Logger,
): boolean {
  try {
    const operator = read();
    if (operator !== null) authority.replaceOperator(operator);
    return true;
  } catch (error) {
    if (!isControlError(error)) throw error;
    log.error('the operator’s authority changed and cannot be used; the one before goes on', {
      problem: error.message,
    });
    return !hasErrorCode(error, 'state-unwritable');
  }
}

/** A folder that was named is used or refused; the Secret is used when it is there. */
function readOperator({ options, store, settings, clock }: OpenAuthorityOptions): OperatorAuthority | null {
  if (options.authorityDir !== undefined) return readOperatorFolder(options.authorityDir, clock.wallMs());
  const key = { group: '', kind: 'Secret', namespace: settings.rootNamespace, name: operatorSecretName };
  const secret = store.get(key)?.serving;
  if (secret == null) return null;
  const content = secretContent(secret as Secret);
  const where = `Secret ${settings.rootNamespace}/${operatorSecretName}`;
  return readOperatorAuthority((name) => content.get(name) ?? null, where, clock.wallMs());
}

/** Changes when one of the files does. */
function stampOf(folder: string | undefined): string {
  if (folder === undefined) return '';
  return Object.values(operatorFiles)
    .map((name) => statSync(join(folder, name), { throwIfNoEntry: false }))
    .map((stat) => `${stat?.ino ?? 0}:${stat?.mtimeMs ?? 0}:${stat?.size ?? 0}`)
    .join(' ');
}
