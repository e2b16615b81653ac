/**
 * Connections that are closed at once because a limit is reached: the listener's own, or that of the process, which
 * keeps it below its file descriptors. To a client that is a reset without a word, so the log says it, with what
 * to do, while it lasts: the first at once, then once a minute for each listener how many there were since.
 */
import { TimerNode, type Logger, type TimerWheel } from '@sluice/runtime';
import type { ConnectionCap } from '../io/accept.ts';
import type { ListenerRuntime } from '../listener/listener.ts';

/** `listener`: the number that its configuration allows; `process`: what its file descriptors allow. */
export type ConnectionLimit = 'listener' | 'process';

export type OnConnectionRefused = (listener: ListenerRuntime, limit: ConnectionLimit) => void;

/** A listener's refusals since its last line. */
interface Refusals {
  readonly timer: TimerNode;
  readonly counts: Record<ConnectionLimit, number>;
  /** 0 = it has none of its own. */
  readonly listenerCap: number;
}

const REPORT_INTERVAL_MS = 60_000;

export function createRefusedConnections(
  timers: TimerWheel,
  logger: Logger,
  processCap: ConnectionCap,
): OnConnectionRefused {
  /** Only listeners that had a line within the last minute. */
  const recent = new Map<string, Refusals>();
  const report = (name: string, refusals: Refusals): void => {
    const { counts } = refusals;
    if (counts.listener + counts.process === 0) {
      recent.delete(name);
      return;
    }
    tell(logger, name, refusals, processCap);
    counts.listener = counts.process = 0;
    timers.arm(refusals.timer, REPORT_INTERVAL_MS);
  };
  return ({ name, maxConnections }, limit) => {
    let refusals = recent.get(name);
    const isFirst = refusals === undefined;
    if (refusals === undefined) {
      const timer = new TimerNode(() => report(name, made));
      const counts = { listener: 0, process: 0 };
      const made: Refusals = { timer, counts, listenerCap: maxConnections };
      recent.set(name, (refusals = made));
    }
    refusals.counts[limit] += 1;
    if (isFirst) report(name, refusals);
  };
}

function tell(logger: Logger, listener: string, { counts, listenerCap }: Refusals, cap: ConnectionCap): void {
  const remedies: string[] = [];
  if (counts.process > 0) {
    remedies.push(
      'raise RLIMIT_NOFILE (ulimit -n, LimitNOFILE= of systemd) and start the proxy anew; see who opens so many',
    );
  }
  if (counts.listener > 0) {
    remedies.push(
      `raise the runtime value envoy.resource_limits.listener.${listener}.connection_limit, or see who opens so many`,
    );
  }
  logger.warning('connections were refused: a limit is reached', {
    listener,
    refused: counts.listener + counts.process,
    ...(counts.process === 0
      ? {}
      : { limit: 'RLIMIT_NOFILE', rlimitNofile: cap.descriptorLimit, connectionCap: cap.connections }),
    ...(counts.listener === 0
      ? {}
      : { [counts.process === 0 ? 'limit' : 'andLimit']: 'listener', listenerCap: listenerCap }),
    remedy: remedies.join('; '),
  });
}
