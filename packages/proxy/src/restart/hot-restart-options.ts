/**
 * The flags of hot restart, in Envoy's words. Without any of them there is none: two proxies on one machine
 * that say nothing must not meet, which with Envoy's default base id of 0 they would.
 */
import type { HotRestartOptions } from './hot-restart.ts';

export const hotRestartFlags = ['restart-epoch', 'base-id', 'base-id-path'] as const;
export const hotRestartSwitches = ['use-dynamic-base-id', 'disable-hot-restart'] as const;

export const hotRestartUsage = `      --restart-epoch N         0, or one more than the process whose listening sockets to take over
      --base-id N               processes with the same one replace each other (default 0)
      --use-dynamic-base-id     at epoch 0: any that is free   --base-id-path FILE  where to write it
      --disable-hot-restart     whatever the flags above say
`;

/** Null: not asked for, or disabled. */
export function readHotRestartOptions(
  values: ReadonlyMap<string, string>,
  switches: ReadonlySet<string>,
  problems: string[],
): HotRestartOptions | null {
  const count = (name: string): number => {
    const value = values.get(name) ?? '0';
    if (/^\d{1,9}$/.test(value)) return Number(value);
    problems.push(`--${name} must be a whole number, not "${value}"`);
    return 0;
  };
  const isDynamic = switches.has('use-dynamic-base-id');
  const epoch = count('restart-epoch');
  const baseId = count('base-id');
  if (isDynamic && epoch > 0) problems.push('--use-dynamic-base-id goes with --restart-epoch 0 only');
  if (isDynamic && values.has('base-id'))
    problems.push('--use-dynamic-base-id and --base-id exclude each other');
  const isAsked = isDynamic || hotRestartFlags.some((name) => values.has(name));
  if (!isAsked || switches.has('disable-hot-restart')) return null;
  return { epoch, baseId: isDynamic ? null : baseId, baseIdPath: values.get('base-id-path') ?? null };
}
