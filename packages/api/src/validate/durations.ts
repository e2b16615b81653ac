/** Checks of durations against each other. That each is a duration the schema has seen to. */
import { parseDurationMs } from '../duration.ts';
import type { Path } from '../position.ts';
import type { Findings } from './findings.ts';

/** Milliseconds of a duration that the schema has checked. */
export function durationMs(text: string | undefined): number | undefined {
  return text === undefined ? undefined : parseDurationMs(text);
}

// Istio requires at least a millisecond; its zero timeout means "none" and is allowed where `allowZero` says so.
export function checkLeastDuration(
  text: string | undefined,
  path: Path,
  findings: Findings,
  { allowZero = false }: { allowZero?: boolean } = {},
): void {
  const ms = durationMs(text);
  if (ms === undefined || ms >= 1 || (allowZero && ms === 0)) return;
  findings.add('invalid-value', path, 'must be at least 1ms');
}
