/**
 * `/sluice/v1/identity` and `/sluice/v1/tokens`: what the authority is and has issued, revocation and rotation, and
 * join tokens. All of it needs the API token (mesh-api.ts checks it). Every change leaves a line in the audit log.
 */
import { parseSerial } from '@sluice/identity';
import type { Clock, Logger } from '@sluice/runtime';
import type { Binding, IssuedRow } from '../../authority/authority-table.ts';
import { expiringSoon } from '../../authority/expiry-alarm.ts';
import type { JoinTokenRow } from '../../authority/join-tokens.ts';
import { defaultTokenTtlMs, maxTokenTtlMs } from '../../authority/join-tokens.ts';
import type { OpenedAuthority } from '../../authority/open-authority.ts';
import type { AuthorityView, CertificateView, IdentityView, JoinTokenView } from '../identity-views.ts';
import { hasErrorCode } from '../../errors.ts';
import { parseBody, readBody } from '../body.ts';
import { json } from './reply.ts';
import { ApiError } from './status-body.ts';

export interface IdentityApi {
  /** Null for another path. The caller has been let in already. */
  handle(request: Request, segments: readonly string[]): Promise<Response> | null;
}

type Identity = Pick<OpenedAuthority, 'authority' | 'joinTokens' | 'metrics'>;

/** Renewals fall between these parts of a certificate's life (proxies draw). */
const renewalParts = { from: 0.5, by: 0.7 } as const;
const nameForm = /^[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?$/;
const maxPort = 65_535;

export function createIdentityApi(identity: Identity, clock: Clock, log: Logger): IdentityApi {
  return {
    handle(request, segments) {
      const [root, ...rest] = segments;
      if (root !== 'identity' && root !== 'tokens') return null;
      const route = `${request.method} ${[root, ...rest.slice(0, 1)].join('/')}`;
      return dispatch(identity, clock, log, request, route, rest).catch((error: unknown) => {
        if (hasErrorCode(error, 'state-unwritable')) throw new ApiError(507, error.message);
        throw error;
      });
    },
  };
}

async function dispatch(
  identity: Identity,
  clock: Clock,
  log: Logger,
  request: Request,
  route: string,
  rest: readonly string[],
): Promise<Response> {
  const { authority, joinTokens } = identity;
  switch (route) {
    case 'GET identity':
      return json(200, identityView(identity, clock.wallMs()));
    case 'POST identity/revoke':
      return revoke(identity, log, await fieldsOf(request));
    case 'POST identity/rotate': {
      const { what } = await fieldsOf(request);
      if (what !== 'root' && what !== 'intermediate') throw invalid('what must be root or intermediate');
      if (!authority.rotate(what))
        throw new ApiError(
          409,
          'a rotation is under way already, or the authority is the operator’s to replace',
        );
      log.warning('rotation begun', { what });
      return json(202, { what });
    }
    case 'GET tokens':
      return json(200, { tokens: joinTokens.list().map((row) => tokenView(row, clock.wallMs())) });
    case 'POST tokens': {
      const made = joinTokens.create(readTokenRequest(await fieldsOf(request)));
      const view = tokenView(made.row, clock.wallMs());
      log.info('join token made', { id: view.id, namespace: view.namespace, account: view.serviceAccount });
      return json(201, { ...view, token: made.text });
    }
    default: {
      const [id = '', ...more] = rest;
      if (request.method !== 'DELETE' || !route.startsWith('DELETE tokens/') || more.length > 0)
        throw new ApiError(404, `there is nothing at ${route}`);
      if (!joinTokens.revoke(id)) throw new ApiError(404, `there is no join token ${id}`);
      log.info('join token revoked', { id });
      return json(200, {});
    }
  }
}

function revoke(
  { authority, joinTokens, metrics }: Identity,
  log: Logger,
  fields: Record<string, unknown>,
): Response {
  const { serial, namespace, name } = fields;
  const select = selection(serial, namespace, name);
  const revoked = authority.revoke(select);
  if (revoked.length === 0)
    throw new ApiError(
      404,
      `no certificate in force ${typeof serial === 'string' ? `has the serial number ${serial.slice(0, 64)}` : `is of ${String(namespace)}/${String(name)}`}: "sluice cert list" shows those there are`,
    );
  for (const row of revoked) joinTokens.endUsed(row.namespace, row.account);
  metrics.revoked(revoked.length);
  log.warning('revoked by an operator', { serials: revoked.map((row) => row.serial).join(' ') });
  return json(200, {
    revoked: revoked.map((row) => ({
      serial: row.serial,
      identity: row.identity,
      isListed: authority.isListable(row),
    })),
  });
}

/** By serial number, or by workload: an account, or an instance, of a namespace. */
function selection(serial: unknown, namespace: unknown, name: unknown): (row: IssuedRow) => boolean {
  if (typeof serial === 'string') {
    const wanted = parseSerial(serial);
    if (wanted === null) throw invalid('serial is not a serial number');
    return (row) => row.serial === wanted;
  }
  if (typeof namespace !== 'string' || typeof name !== 'string')
    throw invalid('name a serial, or a namespace and a name');
  return (row) =>
    row.namespace === namespace && (row.account === name || row.binding.instance === `${name}.${namespace}`);
}

function readTokenRequest(fields: Record<string, unknown>): {
  readonly namespace: string;
  readonly account: string;
  readonly binding: Binding;
  readonly ttlMs: number;
} {
  const name = (field: string, fallback?: string): string => {
    const value = fields[field] ?? fallback;
    if (typeof value !== 'string' || !nameForm.test(value))
      throw invalid(`${field} must be a lower-case name`);
    return value;
  };
  const { labels = {}, ports = [], ttlMs = 0 } = fields;
  if (
    typeof labels !== 'object' ||
    labels === null ||
    Object.values(labels).some((value) => typeof value !== 'string')
  )
    throw invalid('labels must be an object of texts');
  const arePorts =
    Array.isArray(ports) &&
    ports.every((port) => Number.isInteger(port) && Number(port) > 0 && Number(port) <= maxPort);
  if (!arePorts) throw invalid('ports must be a list of port numbers');
  if (typeof ttlMs !== 'number' || !(ttlMs >= 0) || ttlMs > maxTokenTtlMs)
    throw invalid(`ttlMs must be at most ${maxTokenTtlMs} (0 for ${defaultTokenTtlMs})`);
  const instance = fields['instance'] === undefined ? '' : name('instance');
  return {
    namespace: name('namespace', 'default'),
    account: name('serviceAccount', 'default'),
    binding: { instance, labels: labels as Record<string, string>, ports: ports as number[] },
    ttlMs,
  };
}

function identityView({ authority }: Identity, nowMs: number): IdentityView {
  const { signing, ring, bundle } = authority;
  const authorities = [...ring.roots, ...ring.intermediates].map(({ row, certificate }): AuthorityView => ({
    id: row.id,
    role: row.role,
    phase: row.phase,
    origin: row.origin,
    rootId: row.rootId,
    subject: certificate.subject,
    serial: certificate.serial,
    notBefore: iso(certificate.notBeforeMs),
    notAfter: iso(certificate.notAfterMs),
  }));
  return {
    trustDomain: bundle.trustDomain,
    now: iso(nowMs),
    signing: {
      id: signing.certificate.sha256,
      subject: signing.certificate.subject,
      notAfter: iso(signing.certificate.notAfterMs),
      rootId: signing.root.sha256,
      isOperators: signing.isOperators,
    },
    authorities,
    expiring: expiringSoon(authority, nowMs).map(({ what, notAfterMs }) => ({
      what,
      notAfter: iso(notAfterMs),
    })),
    certificates: authority.unexpired().map(certificateView),
  };
}

function certificateView(row: IssuedRow): CertificateView {
  const lifeMs = row.notAfterMs - row.issuedMs;
  return {
    serial: row.serial,
    identity: row.identity,
    namespace: row.namespace,
    serviceAccount: row.account,
    instance: row.binding.instance,
    proof: row.proof,
    authorityId: row.authorityId,
    rootId: row.rootId,
    issuedAt: iso(row.issuedMs),
    notAfter: iso(row.notAfterMs),
    renewalFrom: iso(row.issuedMs + lifeMs * renewalParts.from),
    renewalBy: iso(row.issuedMs + lifeMs * renewalParts.by),
    revokedAt: row.revokedMs === 0 ? null : iso(row.revokedMs),
  };
}

function tokenView(row: JoinTokenRow, nowMs: number): JoinTokenView {
  return {
    id: row.id,
    namespace: row.namespace,
    serviceAccount: row.account,
    instance: row.binding.instance,
    labels: row.binding.labels,
    ports: row.binding.ports,
    createdAt: iso(row.createdMs),
    expiresAt: iso(row.expiresMs),
    state: row.usedMs > 0 ? 'used' : row.expiresMs <= nowMs ? 'expired' : 'open',
  };
}

async function fieldsOf(request: Request): Promise<Record<string, unknown>> {
  const body = parseBody(await readBody(request), request.headers.get('content-type') ?? '');
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw invalid('the body must be an object');
  return body as Record<string, unknown>;
}

function invalid(message: string): ApiError {
  return new ApiError(422, message);
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
