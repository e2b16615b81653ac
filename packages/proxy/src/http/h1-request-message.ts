/** What a parsed HTTP/1 head means to an exchange. */
import { H, type RequestHead } from '@sluice/wire';
import { TUNNEL, type RequestMessage } from './streams.ts';

/** `passesExpect`: the client's wish for 100 goes on to the endpoint instead of being met here. */
export function fillFromHead(message: RequestMessage, head: RequestHead, passesExpect: boolean): void {
  const isConnect = head.targetForm === 'authority';
  // All of it: of several protocols the endpoint would choose, and it might be one that nobody has allowed.
  const asked = head.isUpgrade ? (head.headers.joined(H.upgrade) ?? '').toLowerCase() : '';
  // A wish that is not met may be answered in HTTP/1.1 (RFC 9110 §7.8): for HTTP/2, which Java's client has; beside
  // CONNECT, which is a tunnel already; with content, whose end a tunnel could not tell; and for what is no protocol
  // but our word for a tunnel, which only the method may ask for, or a GET that policies let pass would open one.
  const hasContent = head.bodyKind === 'chunked' || head.contentLength > 0;
  const isUnmet = isConnect || hasContent || asked === 'h2c' || asked === TUNNEL;
  if (asked !== '' && isUnmet) head.headers.remove(H.upgrade);
  message.method = head.method;
  message.protocol = head.version === 11 ? 'HTTP/1.1' : 'HTTP/1.0';
  message.path = isConnect ? '' : head.path;
  message.authority = head.authority;
  message.expectsContinue = head.expectsContinue;
  message.upgrade = isConnect ? TUNNEL : isUnmet ? '' : asked;
  if (head.expectsContinue && !passesExpect) head.headers.remove(H.expect);
  message.contentLength = head.bodyKind === 'length' ? head.contentLength : -1;
}
