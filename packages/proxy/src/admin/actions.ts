/** Admin's changes: log levels, draining, health, quitting. Reached by POST only. */
import { parseLogLevel, type LogLevel } from '@sluice/runtime';
import { isSet, textReply, type AdminReply } from './exchange.ts';
import type { AdminSource } from './source.ts';

/** `?level=debug`, `?router=debug`, `?paths=router:debug,pool:info`; without any: lists the levels. */
export function loggingAction(source: AdminSource, query: URLSearchParams): AdminReply {
  const changes: { level: LogLevel; component: string | undefined }[] = [];
  const known = source.logLevels();
  for (const [component, text] of requestedLevels(query)) {
    const level = parseLogLevel(text);
    if (level === undefined) return textReply(`"${text}" is not a log level\n`, 400);
    if (component !== undefined && !Object.hasOwn(known, component)) {
      return textReply(`there is no logger "${component}"\n${levelsText(known)}`, 400);
    }
    changes.push({ level, component });
  }
  for (const { level, component } of changes) source.setLogLevel(level, component);
  return textReply(levelsText(source.logLevels()));
}

export function drainAction(source: AdminSource, query: URLSearchParams): AdminReply {
  source.drainListeners({
    isGraceful: isSet(query, 'graceful'),
    isInboundOnly: isSet(query, 'inboundonly'),
    skipsExit: isSet(query, 'skip_exit'),
  });
  return textReply('OK\n');
}

export function quitAction(source: AdminSource): AdminReply {
  return { ...textReply('OK\n'), afterwards: () => source.quit() };
}

function requestedLevels(query: URLSearchParams): [string | undefined, string][] {
  const levels: [string | undefined, string][] = [];
  for (const [name, value] of query) {
    if (name === 'level') levels.push([undefined, value]);
    else if (name === 'paths') {
      for (const pair of value.split(',')) {
        const colon = pair.lastIndexOf(':');
        levels.push([pair.slice(0, Math.max(0, colon)), pair.slice(colon + 1)]);
      }
    } else levels.push([name, value]);
  }
  return levels;
}

function levelsText(levels: Readonly<Record<string, LogLevel>>): string {
  const lines = Object.entries(levels).map(([component, level]) => `  ${component}: ${level}\n`);
  return `active loggers:\n${lines.join('')}`;
}
