/**
 * JSON access log formats: a template object compiled to a flat list of steps.
 *
 * A string that is exactly one operator becomes a typed value (numbers bare, nothing = null); any other
 * string is text with values in it. Keys keep the template's order.
 */
import type { JsonObject, JsonValue } from '@sluice/xds';
import { type ByteWriter, JSON_STYLE } from './byte-writer.ts';
import { parseFormat } from './format-parse.ts';
import type { LineFormat } from './format-text.ts';
import { writeJsonValue, writeValue } from './operator-write.ts';
import { compileOperator, type CompiledOperator, type ProcessFacts } from './operators.ts';
import type { RequestRecord } from './record.ts';

/** Istio's default JSON fields (`pilot/pkg/model/telemetry_logging.go`). */
export const ISTIO_JSON_FORMAT: JsonObject = {
  start_time: '%START_TIME%',
  route_name: '%ROUTE_NAME%',
  method: '%REQ(:METHOD)%',
  path: '%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%',
  protocol: '%PROTOCOL%',
  response_code: '%RESPONSE_CODE%',
  response_flags: '%RESPONSE_FLAGS%',
  response_code_details: '%RESPONSE_CODE_DETAILS%',
  connection_termination_details: '%CONNECTION_TERMINATION_DETAILS%',
  bytes_received: '%BYTES_RECEIVED%',
  bytes_sent: '%BYTES_SENT%',
  duration: '%DURATION%',
  upstream_service_time: '%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%',
  x_forwarded_for: '%REQ(X-FORWARDED-FOR)%',
  user_agent: '%REQ(USER-AGENT)%',
  request_id: '%REQ(X-REQUEST-ID)%',
  authority: '%REQ(:AUTHORITY)%',
  upstream_host: '%UPSTREAM_HOST%',
  upstream_cluster: '%UPSTREAM_CLUSTER_RAW%',
  upstream_local_address: '%UPSTREAM_LOCAL_ADDRESS%',
  downstream_local_address: '%DOWNSTREAM_LOCAL_ADDRESS%',
  downstream_remote_address: '%DOWNSTREAM_REMOTE_ADDRESS%',
  requested_server_name: '%REQUESTED_SERVER_NAME%',
  upstream_transport_failure_reason: '%UPSTREAM_TRANSPORT_FAILURE_REASON%',
};

type Step =
  | { readonly kind: 'literal'; readonly bytes: Uint8Array }
  /** A value of its own after its key; with `omit_empty_values` a missing one takes its key along. */
  | { readonly kind: 'value'; readonly operator: CompiledOperator; readonly prefix: Uint8Array }
  /** Inside a JSON string. */
  | { readonly kind: 'part'; readonly operator: CompiledOperator }
  /** A comma, unless what precedes is the start of an object or list. */
  | { readonly kind: 'separator' };

interface Compiler {
  readonly steps: Step[];
  readonly process: ProcessFacts;
  readonly problems: string[];
}

const OPEN_BRACE = 0x7b;
const OPEN_BRACKET = 0x5b;
const COMMA = 0x2c;
const DASH = 0x2d;
const NULL = Buffer.from('null');

/** Compiles a template object into one line of JSON per record. */
export function compileJsonFormat(
  template: JsonObject,
  omitEmptyValues: boolean,
  process: ProcessFacts,
  problems: string[],
): LineFormat {
  const compiler: Compiler = { steps: [], process, problems };
  compileValue(compiler, template, '');
  const steps = [...compiler.steps.slice(1), literal('\n')];
  return (out, record) => {
    for (const step of steps) writeStep(out, record, step, omitEmptyValues);
  };
}

function writeStep(out: ByteWriter, record: RequestRecord, step: Step, omitEmptyValues: boolean): void {
  switch (step.kind) {
    case 'literal':
      out.literal(step.bytes);
      return;
    case 'separator':
      separate(out);
      return;
    case 'part':
      if (!writeValue(out, record, step.operator, JSON_STYLE) && !omitEmptyValues) out.byte(DASH);
      return;
    case 'value': {
      const start = out.length;
      separate(out);
      out.literal(step.prefix);
      if (writeJsonValue(out, record, step.operator, JSON_STYLE)) return;
      if (omitEmptyValues) out.length = start;
      else out.literal(NULL);
    }
  }
}

/** Each member writes its own comma, because which one comes first is known only while writing. */
function separate(out: ByteWriter): void {
  const last = out.bytes[out.length - 1];
  if (last !== OPEN_BRACE && last !== OPEN_BRACKET) out.byte(COMMA);
}

/** `prefix`: the key and its colon; empty in lists and at the top. */
function compileValue(compiler: Compiler, value: JsonValue, prefix: string): void {
  const { steps } = compiler;
  const pieces = typeof value === 'string' ? compilePieces(compiler, value) : [];
  const [first] = pieces;
  if (pieces.length === 1 && first?.kind === 'part') {
    steps.push({ kind: 'value', operator: first.operator, prefix: Buffer.from(prefix, 'utf8') });
    return;
  }
  steps.push({ kind: 'separator' });
  if (prefix !== '') steps.push(literal(prefix));
  if (typeof value === 'string') {
    steps.push(literal('"'), ...pieces, literal('"'));
  } else if (Array.isArray(value)) {
    steps.push(literal('['));
    for (const item of value as readonly JsonValue[]) compileValue(compiler, item, '');
    steps.push(literal(']'));
  } else if (typeof value === 'object' && value !== null) {
    steps.push(literal('{'));
    for (const [key, member] of Object.entries(value))
      compileValue(compiler, member, `${JSON.stringify(key)}:`);
    steps.push(literal('}'));
  } else {
    steps.push(literal(JSON.stringify(value)));
  }
}

function compilePieces(compiler: Compiler, format: string): Step[] {
  const steps: Step[] = [];
  for (const piece of parseFormat(format, compiler.problems)) {
    if (piece.kind === 'literal') {
      steps.push(literal(JSON.stringify(piece.text).slice(1, -1)));
      continue;
    }
    const { name, argument, maxLength } = piece;
    const operator = compileOperator(name, argument, maxLength, compiler.process, compiler.problems);
    if (operator !== null) steps.push({ kind: 'part', operator });
  }
  return steps;
}

function literal(text: string): Step {
  return { kind: 'literal', bytes: Buffer.from(text, 'utf8') };
}
