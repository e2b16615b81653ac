/** Certificates as tables and as a chain: who, until when, and when the next one is due. */
import type { CertificateView, IdentityView } from '../mesh/views.ts';
import { cleanCell, orNone } from './table.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

export type CertificateState = 'valid' | 'renewal due' | 'replaced' | 'revoked';

/** Rows of the list: the newest of each workload, and the revoked; `isAll` shows those that were replaced too. */
export function certificateRows(view: IdentityView, options: { readonly isAll: boolean }): string[][] {
  const seen = new Set<string>();
  const rows: string[][] = [];
  for (const one of view.certificates) {
    const holder = `${one.identity} ${one.instance}`;
    const state = stateOf(one, view.now, seen.has(holder));
    seen.add(holder);
    if (state === 'replaced' && !options.isAll) continue;
    rows.push([
      one.identity,
      orNone(one.instance),
      one.serial,
      state,
      `${one.notAfter} (${describeSpan(view.now, one.notAfter)})`,
      state === 'valid' || state === 'renewal due'
        ? `${describeSpan(view.now, one.renewalFrom)} to ${describeSpan(view.now, one.renewalBy)}`
        : '',
      one.proof,
    ]);
  }
  return rows.sort((a, b) => `${a[0] ?? ''} ${a[1] ?? ''}`.localeCompare(`${b[0] ?? ''} ${b[1] ?? ''}`));
}

/** The chain from the workload up to the root, one line each. */
export function renderChain(
  now: string,
  certificate: CertificateView,
  chain: IdentityView['authorities'],
): string {
  const { identity, instance, serial, notAfter, issuedAt, renewalFrom, renewalBy, revokedAt, proof } =
    certificate;
  const lines = [
    identity,
    `  instance      ${orNone(instance)}`,
    `  serial        ${serial}`,
    `  issued        ${issuedAt} (by ${proof})`,
    `  expires       ${notAfter} (${describeSpan(now, notAfter)})`,
    revokedAt === null
      ? `  next renewal  ${describeSpan(now, renewalFrom)} to ${describeSpan(now, renewalBy)}`
      : `  revoked       ${revokedAt}`,
    '  chain',
    ...chain.map(
      ({ role, subject, notAfter: end, phase }) =>
        `    ${role.padEnd(13)} ${subject}, ${phase}, expires ${end} (${describeSpan(now, end)})`,
    ),
  ];
  return lines.map((line) => `${cleanCell(line)}\n`).join('');
}

/** `in 12h`, `3d ago`. */
export function describeSpan(now: string, then: string): string {
  const ms = Date.parse(then) - Date.parse(now);
  const length = describeLength(Math.abs(ms));
  return ms < 0 ? `${length} ago` : `in ${length}`;
}

function describeLength(ms: number): string {
  if (ms >= 2 * dayMs) return `${Math.floor(ms / dayMs)}d`;
  if (ms >= 2 * hourMs) return `${Math.floor(ms / hourMs)}h`;
  if (ms >= 2 * minuteMs) return `${Math.floor(ms / minuteMs)}m`;
  return `${Math.floor(ms / 1000)}s`;
}

function stateOf(
  { revokedAt, renewalBy }: CertificateView,
  now: string,
  isReplaced: boolean,
): CertificateState {
  if (revokedAt !== null) return 'revoked';
  if (isReplaced) return 'replaced';
  return Date.parse(renewalBy) < Date.parse(now) ? 'renewal due' : 'valid';
}
