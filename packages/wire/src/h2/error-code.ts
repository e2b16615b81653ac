/** Error codes of RST_STREAM and GOAWAY (RFC 9113 §7). An unknown code of a peer means INTERNAL_ERROR. */
export const H2ErrorCode = {
  NO_ERROR: 0x0,
  PROTOCOL_ERROR: 0x1,
  INTERNAL_ERROR: 0x2,
  FLOW_CONTROL_ERROR: 0x3,
  SETTINGS_TIMEOUT: 0x4,
  STREAM_CLOSED: 0x5,
  FRAME_SIZE_ERROR: 0x6,
  REFUSED_STREAM: 0x7,
  CANCEL: 0x8,
  COMPRESSION_ERROR: 0x9,
  CONNECT_ERROR: 0xa,
  ENHANCE_YOUR_CALM: 0xb,
  INADEQUATE_SECURITY: 0xc,
  HTTP_1_1_REQUIRED: 0xd,
} as const;
export type H2ErrorCode = (typeof H2ErrorCode)[keyof typeof H2ErrorCode];

const names: readonly string[] = Object.keys(H2ErrorCode);

/** The code as RFC 9113 names it, for logs. */
export function h2ErrorName(code: number): string {
  return names[code] ?? `UNKNOWN(${code})`;
}
