/**
 * Admin's requests and replies as plain data, so that pages are functions and tests need no socket.
 */
export interface AdminRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
}

export interface AdminReply {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Runs once the reply is on its way. */
  readonly afterwards?: () => void;
}

export const TEXT = 'text/plain; charset=utf-8';
export const JSON_TYPE = 'application/json';
export const HTML = 'text/html; charset=utf-8';

export function textReply(body: string, status = 200): AdminReply {
  return { status, contentType: TEXT, body };
}

export function jsonReply(value: unknown): AdminReply {
  return { status: 200, contentType: JSON_TYPE, body: `${JSON.stringify(value, null, 1)}\n` };
}

/** True for `?name`, `?name=`, `?name=true`, as Envoy reads switches. */
export function isSet(query: URLSearchParams, name: string): boolean {
  const value = query.get(name);
  return value !== null && value !== 'false' && value !== '0';
}
