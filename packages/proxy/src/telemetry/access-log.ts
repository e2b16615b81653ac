/**
 * Compiles an xDS AccessLog into a logger: filter, format, destination.
 *
 * A format left out means Istio's default text format (design: what its users grep). Paths come from
 * remote configuration, so a file is opened only where the proxy's own flags allow it (design §6, Trust).
 */
import {
  FileAccessLogTable,
  StderrAccessLogTable,
  StdoutAccessLogTable,
  typeNameOf,
  type AccessLog,
  type FileAccessLog,
  type StdoutAccessLog,
  type SubstitutionFormatString,
} from '@sluice/xds';
import type { ProblemScope } from '../config/problems.ts';
import { compileAccessLogFilter, type FilterFacts } from './access-log-filter.ts';
import { compileJsonFormat } from './format-json.ts';
import { compileTextFormat, ISTIO_TEXT_FORMAT, type LineFormat } from './format-text.ts';
import { isStandardDestination } from './log-file.ts';
import type { LogSinks } from './log-sinks.ts';
import type { ProcessFacts } from './operators.ts';
import type { AccessLogger, RequestRecord } from './record.ts';

export interface AccessLogDeps extends FilterFacts {
  /** Null on the thread that only checks configuration: compiled loggers then write nowhere. */
  readonly sinks: LogSinks | null;
  readonly process: ProcessFacts;
  /** Whether remote configuration may write this file. */
  readonly isPathAllowed: (path: string) => boolean;
}

interface Output {
  readonly path: string;
  readonly format: LineFormat;
}

/** Null when the message cannot be honoured; `scope` says why, with paths. */
export function compileAccessLogger(
  message: AccessLog,
  deps: AccessLogDeps,
  scope: ProblemScope,
): AccessLogger | null {
  const output = compileOutput(message, deps, scope.at('typed_config'));
  const filter =
    message.filter === undefined ? null : compileAccessLogFilter(message.filter, deps, scope.at('filter'));
  if (output === null) return null;
  const sink = deps.sinks?.sink(output.path) ?? null;
  if (sink === null) return { log: () => undefined };
  const { format } = output;
  if (filter === null) return { log: (record: RequestRecord) => sink.append(format, record) };
  return {
    log(record) {
      if (filter(record)) sink.append(format, record);
    },
  };
}

function compileOutput(message: AccessLog, deps: AccessLogDeps, scope: ProblemScope): Output | null {
  const config = message.typedConfig;
  if (config === undefined || config.value instanceof Uint8Array) {
    const what = config === undefined ? 'must be set' : `access logger ${config.typeUrl} is not supported`;
    scope.error(what);
    return null;
  }
  switch (typeNameOf(config.typeUrl)) {
    case FileAccessLogTable.typeName:
      return compileFile(config.value as FileAccessLog, deps, scope);
    case StdoutAccessLogTable.typeName:
      return compileStream('/dev/stdout', config.value as StdoutAccessLog, deps, scope);
    case StderrAccessLogTable.typeName:
      return compileStream('/dev/stderr', config.value as StdoutAccessLog, deps, scope);
    default:
      scope.error(`access logger ${config.typeUrl} is not supported; use file, stdout or stderr`);
      return null;
  }
}

function compileStream(
  path: string,
  config: StdoutAccessLog,
  deps: AccessLogDeps,
  scope: ProblemScope,
): Output {
  const format =
    config.logFormat === undefined
      ? defaultFormat(deps)
      : compileFormatString(config.logFormat, deps, scope.at('log_format'));
  return { path, format };
}

function compileFile(config: FileAccessLog, deps: AccessLogDeps, scope: ProblemScope): Output | null {
  if (config.path === '') {
    scope.at('path').error('must not be empty');
    return null;
  }
  if (!isStandardDestination(config.path) && !deps.isPathAllowed(config.path)) {
    scope.at('path').error(`"${config.path}" may not be written: no flag of this proxy allows it`);
    return null;
  }
  return { path: config.path, format: compileFileFormat(config, deps, scope) };
}

function compileFileFormat(config: FileAccessLog, deps: AccessLogDeps, scope: ProblemScope): LineFormat {
  const problems: string[] = [];
  if (config.logFormat !== undefined)
    return compileFormatString(config.logFormat, deps, scope.at('log_format'));
  if (config.format !== undefined && config.format !== '') {
    const format = compileTextFormat(config.format, false, deps.process, problems);
    return reported(format, problems, scope.at('format'));
  }
  if (config.jsonFormat !== undefined) {
    const format = compileJsonFormat(config.jsonFormat, false, deps.process, problems);
    return reported(format, problems, scope.at('json_format'));
  }
  if (config.typedJsonFormat !== undefined) {
    const format = compileJsonFormat(config.typedJsonFormat, false, deps.process, problems);
    return reported(format, problems, scope.at('typed_json_format'));
  }
  return defaultFormat(deps);
}

function compileFormatString(
  config: SubstitutionFormatString,
  deps: AccessLogDeps,
  scope: ProblemScope,
): LineFormat {
  const problems: string[] = [];
  const omit = config.omitEmptyValues;
  if (config.formatters.length > 0) scope.unhonoured('formatters', 'format extensions are not supported');
  if (config.jsonFormatOptions !== undefined) {
    scope.unhonoured('json_format_options', 'keys keep the order in which they are written');
  }
  if (config.jsonFormat !== undefined) {
    const format = compileJsonFormat(config.jsonFormat, omit, deps.process, problems);
    return reported(format, problems, scope.at('json_format'));
  }
  const source = config.textFormatSource;
  if (source !== undefined && source.inlineString === undefined) {
    scope.at('text_format_source').error('only inline_string is supported');
  }
  const text = config.textFormat ?? source?.inlineString ?? '';
  if (text === '') return defaultFormat(deps);
  const format = compileTextFormat(text, omit, deps.process, problems);
  return reported(
    format,
    problems,
    scope.at(config.textFormat === undefined ? 'text_format_source' : 'text_format'),
  );
}

function defaultFormat(deps: AccessLogDeps): LineFormat {
  return compileTextFormat(ISTIO_TEXT_FORMAT, false, deps.process, []);
}

function reported(format: LineFormat, problems: readonly string[], scope: ProblemScope): LineFormat {
  for (const problem of problems) scope.error(problem);
  return format;
}
