/** The simplest web server there is, for tests that only ask whether a request came through, and to whom. */
import { onCleanUp } from './cleanup.ts';

/** Answers every request with `text`, over the runtime's own HTTP; returns its port of 127.0.0.1. */
export function serveText(text: string): number {
  const server = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response(text) });
  onCleanUp(() => server.stop(true));
  return server.port ?? 0;
}
