/**
 * Two observations of one case → the list of what differs. Observations are flattened to `field → text`
 * (`response[0].header.location`), so that a difference has a name that `differences.ts` can explain.
 */
import type { Fields, Outcome } from './client.ts';
import type { LogLine, Observation } from './observe.ts';
import type { Received } from './origins.ts';

export interface Difference {
  /** "section: case". */
  readonly name: string;
  readonly field: string;
  readonly envoy: string;
  readonly sluice: string;
}

export function compare(name: string, envoy: Observation, sluice: Observation): Difference[] {
  const ownReplies = sluice.outcomes.map(isOwnReply);
  const left = flatten(envoy, ownReplies);
  const right = flatten(sluice, ownReplies);
  const differences: Difference[] = [];
  for (const field of new Set([...left.keys(), ...right.keys()])) {
    const pair = { envoy: left.get(field) ?? 'absent', sluice: right.get(field) ?? 'absent' };
    if (pair.envoy !== pair.sluice) differences.push({ name, field, ...pair });
  }
  return differences;
}

/**
 * A reply that our proxy made about a failure: its body says why, as JSON and not in Envoy's words (design
 * §5). A direct response and a redirect have the content that the route gives them.
 */
function isOwnReply(outcome: Outcome): boolean {
  if (typeof outcome === 'string') return false;
  const reason = outcome.headers.find(([name]) => name.toLowerCase() === 'x-sluice-reason')?.[1];
  return reason !== undefined && reason !== 'direct-response';
}

type Flat = Map<string, string>;

function flatten({ outcomes, received, log }: Observation, ownReplies: readonly boolean[]): Flat {
  const flat: Flat = new Map();
  outcomes.forEach((outcome, i) => flattenOutcome(flat, `response[${i}]`, outcome, ownReplies[i] ?? false));
  received.forEach((request, i) => flattenReceived(flat, `upstream[${i}]`, request));
  log.forEach((line, i) => flattenLine(flat, `log[${i}]`, line, ownReplies[i] ?? false));
  return flat;
}

function flattenOutcome(flat: Flat, at: string, outcome: Outcome, isOwn: boolean): void {
  if (typeof outcome === 'string') {
    flat.set(at, outcome);
    return;
  }
  flat.set(`${at}.status`, String(outcome.status));
  flat.set(`${at}.version`, outcome.version);
  flat.set(`${at}.interim`, outcome.interim.join(','));
  flat.set(`${at}.is-whole`, String(outcome.isWhole));
  flat.set(`${at}.tunnelled`, String(outcome.tunnelled));
  flattenFields(flat, `${at}.header`, outcome.headers, isOwn ? ownReplyHeaders : ignoredResponseHeaders);
  flattenFields(flat, `${at}.trailer`, outcome.trailers, nothing);
  if (isOwn) return;
  flat.set(`${at}.framing`, outcome.framing);
  flat.set(`${at}.body`, outcome.body);
}

function flattenReceived(flat: Flat, at: string, request: Received): void {
  flat.set(`${at}.origin`, request.origin);
  flat.set(`${at}.line`, `${request.method} ${request.target} ${request.version}`);
  flat.set(`${at}.body`, request.body);
  flattenFields(flat, `${at}.header`, request.headers, at.endsWith('[0]') ? nothing : remainingTimes);
  flattenFields(flat, `${at}.trailer`, request.trailers, nothing);
}

function flattenLine(flat: Flat, at: string, line: LogLine, isOwn: boolean): void {
  for (const [name, value] of Object.entries(line)) {
    if (name === 'client' || name === 'listener' || (isOwn && name === 'bytesSent')) continue;
    flat.set(`${at}.${name}`, name === 'flags' ? value.split(',').sort().join(',') : value);
  }
}

const nothing: ReadonlySet<string> = new Set();
/** What is left of a timeout when a request is sent again: no two runs agree. */
const remainingTimes: ReadonlySet<string> = new Set(['x-envoy-expected-rq-timeout-ms', 'grpc-timeout']);
/** Ours alone: the reason code of replies that the proxy made. */
const ignoredResponseHeaders: ReadonlySet<string> = new Set(['x-sluice-reason']);
/** Follow from the body, which is not compared, or are its words for a gRPC client. */
const ownReplyHeaders: ReadonlySet<string> = new Set([
  'x-sluice-reason',
  'grpc-message',
  'content-type',
  'content-length',
  'transfer-encoding',
]);

/** Names are compared without case. */
function flattenFields(flat: Flat, at: string, fields: Fields, ignored: ReadonlySet<string>): void {
  for (const [given, value] of fields) {
    const name = given.toLowerCase();
    if (ignored.has(name)) continue;
    const key = `${at}.${name}`;
    const text = valueOf(name, value);
    const before = flat.get(key);
    // One field with a list and several fields mean the same (RFC 9110 §5.3).
    flat.set(key, before === undefined ? text : `${before},${text}`);
  }
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Values that differ from one request to the next are reduced to their form. */
function valueOf(name: string, value: string): string {
  if (name === 'date') return Number.isNaN(Date.parse(value)) ? value : 'a date';
  if (name === 'x-request-id' && uuid.test(value)) return 'a UUID';
  if (name === 'x-envoy-upstream-service-time' && /^\d+$/.test(value)) return 'milliseconds';
  return value;
}
