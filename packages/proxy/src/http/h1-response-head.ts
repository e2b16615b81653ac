/** A response head in HTTP/1.1: its framing, and its octets in place in a connection's output. */
import { writeResponseHead, type ResponseWriteOptions } from '@sluice/wire';
import type { Connection } from '../io/connection.ts';
import { hasNoContent } from './reply.ts';
import type { RequestMessage, ResponseMessage } from './streams.ts';

/** Room for a head that is not unusually large; the rest of the join buffer is used too. */
const USUAL_HEAD_BYTES = 4096;

/** How the response to `request` says where its content ends. */
export function frameResponse(
  options: ResponseWriteOptions,
  response: ResponseMessage,
  request: RequestMessage,
  isEnd: boolean,
  isTunnel: boolean,
): void {
  const isHead = request.method === 'HEAD';
  options.isAnswerToHead = isHead;
  options.passesUpgrade = response.status === 101 || response.status === 426;
  options.contentLength = response.contentLength;
  if (isTunnel) options.bodyKind = 'tunnel';
  else if (isEnd || isHead || hasNoContent(response.status)) options.bodyKind = 'none';
  else if (response.contentLength >= 0) options.bodyKind = 'length';
  else options.bodyKind = request.protocol === 'HTTP/1.0' ? 'until-close' : 'chunked';
}

/** A head that does not fit into what its fields need at most is a broken invariant: the connection ends. */
export function writeHeadTo(
  connection: Connection,
  response: ResponseMessage,
  options: ResponseWriteOptions,
): void {
  const { status, headers } = response;
  const room = connection.reserve(USUAL_HEAD_BYTES);
  let end = writeResponseHead(room, connection.writeOffset, status, undefined, headers, options);
  if (end < 0) {
    const larger = connection.reserve(2 * headers.byteSize + USUAL_HEAD_BYTES);
    end = writeResponseHead(larger, connection.writeOffset, status, undefined, headers, options);
  }
  if (end < 0) connection.terminate();
  else connection.commit(end);
}
