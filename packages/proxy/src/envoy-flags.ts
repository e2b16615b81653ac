/**
 * Envoy's flags that change nothing here. Whoever starts Envoys by a script or a harness passes them as a matter of
 * course, so they are taken, each with a notice that says why it has no effect. The few that would change what the
 * proxy does with its configuration are refused in words: taken in silence they would promise what is not kept.
 */

/** With a value; the reason completes "--flag has no effect: …". */
export const inertValued: ReadonlyMap<string, string> = new Map(
  Object.entries({
    'drain-strategy': 'connections are told to close at once when draining begins',
    'file-flush-interval-msec': 'logs are flushed every 100 ms',
    'file-flush-min-size-kb': 'logs are flushed every 100 ms, or earlier when much waits',
    'local-address-ip-version': 'addresses are those of the configuration',
    'socket-path': 'processes that replace each other find each other by --base-id',
    'socket-mode': 'processes that replace each other find each other by --base-id',
  }),
);

export const inertSwitches: ReadonlyMap<string, string> = new Map(
  Object.entries({
    'allow-unknown-fields': 'fields are refused or reported as --unsupported-fields says',
    'allow-unknown-static-fields': 'fields are refused or reported as --unsupported-fields says',
    'ignore-unknown-dynamic-fields': 'fields are refused or reported as --unsupported-fields says',
    'reject-unknown-dynamic-fields': 'fields are refused or reported as --unsupported-fields says',
    'cpuset-threads': 'data loops are as many as --concurrency says',
    'enable-core-dump': 'core dumps are for the system to allow',
    'enable-fine-grain-logging': 'levels are set by component',
    'enable-mutex-tracing': 'there are no locks to trace',
    'log-format-escaped': 'lines of the log are always escaped',
    'log-stacktrace-single-entry': 'a record of the log is always one line',
    'skip-deprecated-logs': 'fields without effect are refused or reported as --unsupported-fields says',
    'skip-hot-restart-on-no-parent': 'without a process to replace, the proxy starts as the first one',
    'skip-hot-restart-parent-stats': 'counters always start anew',
  }),
);

/** With a value; what to do instead. */
export const refusedValued: ReadonlyMap<string, string> = new Map(
  Object.entries({
    'disable-extensions': 'leave them out of the configuration',
    'stats-tag': 'add the label where the metrics are scraped',
  }),
);

/** Envoy's pattern for lines of the log: `[%Y-%m-%d %T.%e][%t][%l][%n] %v`. Ours has two fixed forms. */
export function isLogPattern(format: string): boolean {
  return format.includes('%');
}
