/**
 * An alarm before the authority's certificates end: in the log once a day, and as data for `sluice check`. The mesh's
 * own are replaced long before; what an operator brought is the operator's to replace.
 */
import type { Certificate } from '@sluice/identity';
import type { Logger } from '@sluice/runtime';
import type { MeshAuthority } from './mesh-authority.ts';

const dayMs = 24 * 3_600_000;
/** Less than this part of its life, or of 30 days, is left. */
const alarmPart = 0.1;
const alarmLeftMs = 30 * dayMs;

export interface ExpiryFinding {
  readonly what: 'root' | 'signing certificate';
  readonly notAfterMs: number;
}

/** What comes to its end soon, and is not being replaced. */
export function expiringSoon(
  authority: Pick<MeshAuthority, 'signing'>,
  nowMs: number,
): readonly ExpiryFinding[] {
  const { root, certificate } = authority.signing;
  const candidates = [
    { what: 'root', certificate: root },
    { what: 'signing certificate', certificate },
  ] as const;
  return candidates
    .filter((one) => isNear(one.certificate, nowMs))
    .map(({ what, certificate: { notAfterMs } }) => ({ what, notAfterMs }));
}

export class ExpiryAlarm {
  readonly #authority: Pick<MeshAuthority, 'signing'>;
  readonly #wallMs: () => number;
  readonly #log: Logger;
  #nextMs = 0;

  constructor(authority: Pick<MeshAuthority, 'signing'>, wallMs: () => number, log: Logger) {
    this.#authority = authority;
    this.#wallMs = wallMs;
    this.#log = log;
  }

  look(): void {
    const nowMs = this.#wallMs();
    if (nowMs < this.#nextMs) return;
    const findings = expiringSoon(this.#authority, nowMs);
    for (const { what, notAfterMs } of findings) {
      this.#log.error(
        'an authority’s certificate comes to its end; every certificate below it ends with it',
        {
          what,
          expires: new Date(notAfterMs).toISOString(),
        },
      );
    }
    if (findings.length > 0) this.#nextMs = nowMs + dayMs;
  }
}

function isNear({ notBeforeMs, notAfterMs }: Certificate, nowMs: number): boolean {
  return notAfterMs - nowMs < Math.min(alarmLeftMs, (notAfterMs - notBeforeMs) * alarmPart);
}
