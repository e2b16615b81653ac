/** What a parsed HTTP/1 head means to an exchange. */
import { H, type RequestHead } from '@sluice/wire';
import type { RequestMessage } from './streams.ts';

/** `passesExpect`: the client's wish for 100 goes on to the endpoint instead of being met here. */
export function fillFromHead(message: RequestMessage, head: RequestHead, passesExpect: boolean): void {
  const asked = head.isUpgrade ? (head.headers.get(H.upgrade) ?? '').toLowerCase() : '';
  // A client that would rather speak HTTP/2 (Java's does) may be answered in HTTP/1.1 (RFC 9110 §7.8).
  const isH2c = asked === 'h2c';
  if (isH2c) head.headers.remove(H.upgrade);
  message.method = head.method;
  message.protocol = head.version === 11 ? 'HTTP/1.1' : 'HTTP/1.0';
  message.path = head.targetForm === 'authority' ? '' : head.path;
  message.authority = head.authority;
  message.expectsContinue = head.expectsContinue;
  message.upgrade = '';
  if (head.targetForm === 'authority') message.upgrade = asked || 'connect';
  else if (!isH2c) message.upgrade = asked;
  if (head.expectsContinue && !passesExpect) head.headers.remove(H.expect);
  message.contentLength = head.bodyKind === 'length' ? head.contentLength : -1;
}
