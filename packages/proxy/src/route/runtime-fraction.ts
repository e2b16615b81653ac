/**
 * Fractions: `numerator` out of a hundred, ten thousand or a million. A runtime key that the bootstrap's
 * static layer sets takes the place of the numerator (percent), as in Envoy.
 */
import type { FractionalPercent, JsonValue, RuntimeFractionalPercent } from '@sluice/xds';

const denominators = { HUNDRED: 100, TEN_THOUSAND: 10_000, MILLION: 1_000_000 } as const;

/** Share in [0, 1]. */
export function shareOf(fraction: FractionalPercent | undefined): number {
  if (fraction === undefined) return 0;
  return Math.min(1, fraction.numerator / denominators[fraction.denominator]);
}

export function runtimeShare(
  fraction: RuntimeFractionalPercent,
  runtime: ReadonlyMap<string, JsonValue>,
): number {
  const override = runtime.get(fraction.runtimeKey);
  if (typeof override === 'number') return Math.min(1, override / 100);
  return shareOf(fraction.defaultValue);
}
