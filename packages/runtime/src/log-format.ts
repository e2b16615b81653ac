/**
 * How one log record becomes one line. Text is Istio's tab-separated form, JSON one object per line.
 *
 * Threat: field values hold what peers sent. A line break would forge a record and an escape sequence
 * would drive the operator's terminal, so every control character (C0, DEL, C1, and the line separators
 * U+2028/2029) leaves as \uXXXX, in both formats and in keys as well.
 */

export type LogFormat = 'json' | 'text';
export type LogFields = Readonly<Record<string, unknown>>;

export interface LogRecord {
  readonly wallMs: number;
  readonly level: string;
  readonly component: string;
  readonly message: string;
  readonly fields: LogFields | undefined;
}

// \p{Cc} is C0, DEL and C1.
const unsafe = /[\p{Cc}\u2028\u2029]/gu;
const needsQuotes = /[\s"'\\=\p{Cc}]/u;
const reservedKeys: ReadonlySet<string> = new Set(['time', 'level', 'component', 'message']);
/** Characters; a longer value is cut, so that one header cannot fill the log. */
const maxValueLength = 8192;

/** One line, its line break included. Never throws, whatever the fields hold. */
export function formatLogRecord(record: LogRecord, format: LogFormat): string {
  const time = timestamp(record.wallMs);
  return format === 'json' ? formatJson(record, time) : formatText(record, time);
}

function formatText(record: LogRecord, time: string): string {
  let line = `${time}\t${record.level}\t${escapeControls(record.component)}\t${escapeControls(record.message)}`;
  const { fields } = record;
  if (fields === undefined) return `${line}\n`;
  let separator = '\t';
  for (const key of Object.keys(fields)) {
    const value = fields[key];
    if (value === undefined) continue;
    line += `${separator}${quoteIfNeeded(key)}=${textValue(value)}`;
    separator = ' ';
  }
  return `${line}\n`;
}

function formatJson(record: LogRecord, time: string): string {
  let line =
    `{"time":"${time}","level":"${record.level}","component":${quote(record.component)}` +
    `,"message":${quote(record.message)}`;
  const { fields } = record;
  if (fields !== undefined) {
    for (const key of Object.keys(fields)) {
      const value = fields[key];
      if (value === undefined) continue;
      line += `,${quote(reservedKeys.has(key) ? `field_${key}` : key)}:${jsonValue(value)}`;
    }
  }
  return `${line}}\n`;
}

function textValue(value: unknown): string {
  if (typeof value === 'string') return quoteIfNeeded(cut(value));
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) return String(value);
  const json = jsonValue(value);
  return json.startsWith('"') ? json : quoteIfNeeded(json);
}

function jsonValue(value: unknown): string {
  if (typeof value === 'string') return quote(cut(value));
  if (typeof value === 'bigint') return `"${value}"`;
  if (typeof value === 'number' && !Number.isFinite(value)) return `"${value}"`;
  if (value instanceof Error) return quote(cut(describeError(value)));
  try {
    const text = JSON.stringify(value, safeMember);
    if (text === undefined) return quote(`[${typeof value}]`);
    return text.length > maxValueLength ? quote(cut(text)) : text.replace(unsafe, escapeCharacter);
  } catch (error) {
    return quote(`[not serialisable: ${error instanceof Error ? error.message : 'threw'}]`);
  }
}

function safeMember(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return String(value);
  return value instanceof Error ? describeError(value) : value;
}

/** "Name: message", with the causes that led to it; no stack, which belongs to a debugger. */
function describeError(error: Error): string {
  let text = `${error.name}: ${error.message}`;
  let cause = error.cause;
  for (let depth = 0; cause !== undefined && depth < 5; depth++) {
    text += `; caused by ${cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause)}`;
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  return text;
}

function quoteIfNeeded(text: string): string {
  return text === '' || needsQuotes.test(text) ? quote(text) : text;
}

function quote(text: string): string {
  return JSON.stringify(text).replace(unsafe, escapeCharacter);
}

function cut(text: string): string {
  if (text.length <= maxValueLength) return text;
  return `${text.slice(0, maxValueLength)}…(${text.length} characters)`;
}

function escapeControls(text: string): string {
  return text.replace(unsafe, escapeCharacter);
}

function escapeCharacter(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

function timestamp(wallMs: number): string {
  const date = new Date(wallMs);
  return Number.isNaN(date.getTime()) ? '0000-00-00T00:00:00.000Z' : date.toISOString();
}
