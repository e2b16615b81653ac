/**
 * Text access log formats: a format string compiled to a flat list of steps.
 *
 * The default is Istio's, field for field, so that what people grep and parse keeps working.
 */
import { type ByteWriter, TEXT_STYLE } from './byte-writer.ts';
import { parseFormat } from './format-parse.ts';
import { writeValue } from './operator-write.ts';
import { compileOperator, type CompiledOperator, type ProcessFacts } from './operators.ts';
import type { RequestRecord } from './record.ts';

/** Istio's default (`pilot/pkg/model/telemetry_logging.go`), one line. */
export const ISTIO_TEXT_FORMAT = [
  '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE%',
  '%RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS%',
  '"%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% %BYTES_SENT% %DURATION%',
  '%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%"',
  '"%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW%',
  '%UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS%',
  '%REQUESTED_SERVER_NAME% %ROUTE_NAME%\n',
].join(' ');

/** Writes one record; the line's end is part of the format. */
export type LineFormat = (out: ByteWriter, record: RequestRecord) => void;

type Step =
  | { readonly literal: Uint8Array; readonly operator: null }
  | { readonly literal: null; readonly operator: CompiledOperator };

const DASH = 0x2d;
const LF = 0x0a;

/** A format that does not end in a line break gets one: records must not run into each other. */
export function compileTextFormat(
  format: string,
  omitEmptyValues: boolean,
  process: ProcessFacts,
  problems: string[],
): LineFormat {
  const steps: Step[] = [];
  for (const piece of parseFormat(format, problems)) {
    if (piece.kind === 'literal') {
      steps.push({ literal: Buffer.from(piece.text, 'utf8'), operator: null });
      continue;
    }
    const operator = compileOperator(piece.name, piece.argument, piece.maxLength, process, problems);
    if (operator !== null) steps.push({ literal: null, operator });
  }
  return (out, record) => {
    for (const step of steps) {
      if (step.operator === null) out.literal(step.literal);
      else if (!writeValue(out, record, step.operator, TEXT_STYLE) && !omitEmptyValues) out.byte(DASH);
    }
    if (out.bytes[out.length - 1] !== LF) out.byte(LF);
  };
}
