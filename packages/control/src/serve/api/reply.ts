/** Replies of the API, and the one place where what a handler refuses becomes one. */
import type { Logger } from '@sluice/runtime';
import { ApiError, failureBody } from './status-body.ts';

export function json(code: number, body: unknown, headers: Record<string, string> = {}): Response {
  return new Response(`${JSON.stringify(body)}\n`, {
    status: code,
    headers: { 'content-type': 'application/json', 'cache-control': 'no-store', ...headers },
  });
}

/** Runs a handler; what it refuses, and what goes wrong in it, is a Status reply. */
export async function replyTo(log: Logger, handler: () => Promise<Response> | Response): Promise<Response> {
  try {
    return await handler();
  } catch (error) {
    if (error instanceof ApiError) return json(error.code, failureBody(error));
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    log.error('an API request failed', { error: text });
    return json(
      500,
      failureBody(new ApiError(500, 'the request failed inside the control plane; its log says why')),
    );
  }
}
