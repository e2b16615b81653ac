/**
 * A request of HTTP/2 whose head is malformed or did not come in time: no exchange ever saw it. Metrics and
 * logs hear of it all the same, as they do of HTTP/1's, without fields that nobody may trust.
 */
import type { ConnectionFacts } from '../listener/connection-facts.ts';
import { beginRecord } from './begin-record.ts';
import { detachedMessage } from './detached-stream.ts';
import type { ExchangeServices, HttpBinding } from './exchange-services.ts';
import type { RequestMessage } from './streams.ts';

const nothing: RequestMessage = { ...detachedMessage, protocol: 'HTTP/2' };

/** `details`: Envoy's. */
export function logRequestWithoutHead(
  details: string,
  flag: number,
  facts: ConnectionFacts,
  binding: HttpBinding,
  services: ExchangeServices,
): void {
  const record = services.newRecord();
  beginRecord(record, nothing, facts, binding, services, true);
  record.flags |= flag;
  record.responseCodeDetails = details;
  record.responseEndMs = record.startMs;
  try {
    binding.metrics.onRequestStart(record);
    binding.metrics.onRequestEnd(record);
    for (const logger of binding.config.accessLoggers) logger.log(record);
  } catch (error) {
    services.reportError(error);
  }
}
