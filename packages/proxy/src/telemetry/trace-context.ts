/**
 * W3C trace context: strict parsing, and the context that goes upstream.
 *
 * The proxy is one hop of a trace: it keeps the trace id it was given, makes a span id of its own and
 * names itself as the parent of what follows. Anything invalid restarts the trace (W3C Trace Context
 * §3.2.2.3: a malformed traceparent is treated as absent, its tracestate with it). B3 headers and
 * `baggage` are the application's and pass through untouched.
 */
import type { IdSource } from './request-id.ts';

/** One per exchange, reused. Ids are lower-case hexadecimal; empty strings mean none. */
export interface TraceContext {
  traceId: string;
  /** Of this hop's own span. */
  spanId: string;
  /** Of the caller's span; empty when this hop starts the trace. */
  parentSpanId: string;
  isSampled: boolean;
  /** Bit 1 of trace-flags (random trace id), passed on as received; set on traces started here. */
  isRandom: boolean;
  /** The caller's tracestate as it may be forwarded; empty when absent, invalid or restarted. */
  tracestate: string;
}

/** Seam for span export: told of each sampled hop after its response. Must not block or throw. */
export interface SpanSink {
  onSpan(record: SpanFacts): void;
}

/** What a span needs from a request record. */
export interface SpanFacts {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly isSampled: boolean;
  readonly startWallMs: number;
  readonly startMs: number;
  readonly responseEndMs: number;
}

export interface TraceOptions {
  readonly ids: IdSource;
  /** 0–100 of traces started here that are sampled; a caller's decision is always kept. */
  readonly samplingPercent: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/** §3.3.1.1: 32 list members at most. */
const MAX_TRACESTATE_MEMBERS = 32;
/** §3.3.1.5 asks to propagate at least 512 characters; longer values are a stranger's memory. */
const MAX_TRACESTATE_CHARS = 8192;

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const ALL_ZERO = /^0+$/;
const SIMPLE_KEY = /^[a-z][a-z0-9_\-*/]{0,255}$/;
const TENANT_KEY = /^[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13}$/;
/** Printable ASCII without `,` and `=`, not ending in a space (§3.3.1.3.2). */
const MEMBER_VALUE = /^[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/;

export function createTraceContext(): TraceContext {
  return { traceId: '', spanId: '', parentSpanId: '', isSampled: false, isRandom: false, tracestate: '' };
}

/**
 * Continues the caller's trace into `context`, or starts one. `traceparent` and `tracestate` are the
 * request's header values (several tracestate fields joined with `,`), null when absent; more than one
 * traceparent must be passed as an invalid value, since it cannot be known which is meant.
 */
export function continueTrace(
  context: TraceContext,
  traceparent: string | null,
  tracestate: string | null,
  options: TraceOptions,
): void {
  context.spanId = options.ids.spanId();
  if (traceparent === null || !readTraceparent(context, traceparent)) {
    context.traceId = options.ids.traceId();
    context.parentSpanId = '';
    context.isSampled = isDrawn(options);
    context.isRandom = true;
    context.tracestate = '';
    return;
  }
  context.tracestate = tracestate !== null && isValidTracestate(tracestate) ? tracestate : '';
}

/** The value to send upstream. Always version 00: a higher version is answered with the one we speak. */
export function formatTraceparent(context: TraceContext): string {
  const flags = (context.isSampled ? 1 : 0) | (context.isRandom ? 2 : 0);
  return `00-${context.traceId}-${context.spanId}-0${flags}`;
}

/** True when the value is at most 32 well-formed members with distinct keys (§3.3.1). */
export function isValidTracestate(value: string): boolean {
  if (value.length > MAX_TRACESTATE_CHARS) return false;
  const keys = new Set<string>();
  for (const raw of value.split(',')) {
    const member = trimSpaces(raw);
    if (member === '') continue;
    const equals = member.indexOf('=');
    if (equals < 0) return false;
    const key = member.slice(0, equals);
    if (!SIMPLE_KEY.test(key) && !TENANT_KEY.test(key)) return false;
    if (!MEMBER_VALUE.test(member.slice(equals + 1))) return false;
    if (keys.has(key)) return false;
    keys.add(key);
  }
  return keys.size > 0 && keys.size <= MAX_TRACESTATE_MEMBERS;
}

function readTraceparent(context: TraceContext, value: string): boolean {
  const match = TRACEPARENT.exec(value);
  if (match === null) return false;
  const [, version = '', traceId = '', parentId = '', flags = '', rest] = match;
  // ff is forbidden; version 00 has exactly four fields, later ones may append more (§4.3).
  if (version === 'ff' || (version === '00' && rest !== undefined)) return false;
  if (ALL_ZERO.test(traceId) || ALL_ZERO.test(parentId)) return false;
  const bits = Number.parseInt(flags, 16);
  context.traceId = traceId;
  context.parentSpanId = parentId;
  context.isSampled = (bits & 1) !== 0;
  context.isRandom = (bits & 2) !== 0;
  return true;
}

function isDrawn(options: TraceOptions): boolean {
  if (options.samplingPercent >= 100) return true;
  return options.samplingPercent > 0 && options.random() * 100 < options.samplingPercent;
}

/** Optional whitespace around members is SP and HTAB only; `trim` would accept more. */
function trimSpaces(text: string): string {
  return text.replace(/^[ \t]+|[ \t]+$/g, '');
}
