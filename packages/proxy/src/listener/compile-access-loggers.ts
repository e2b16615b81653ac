/** Access loggers of a chain or listener; those that cannot be honoured leave a problem and no logger. */
import type { AccessLog } from '@sluice/xds';
import type { ProblemScope } from '../config/problems.ts';
import { compileAccessLogger, type AccessLogDeps } from '../telemetry/access-log.ts';
import type { AccessLogger } from '../telemetry/record.ts';

export function compileAccessLoggers(
  messages: readonly AccessLog[],
  deps: AccessLogDeps,
  scope: ProblemScope,
): AccessLogger[] {
  const loggers: AccessLogger[] = [];
  for (const [i, message] of messages.entries()) {
    const logger = compileAccessLogger(message, deps, scope.at('access_log', i));
    if (logger !== null) loggers.push(logger);
  }
  return loggers;
}
