/**
 * The head of a response; lifetime and ownership as of RequestHead.
 */
import { EMPTY_BYTES, decodeLatin1 } from '../headers/bytes.ts';
import { HeaderList } from '../headers/header-list.ts';

/** 'tunnel': after 101, or 2xx to CONNECT, what follows is not HTTP/1. */
export type ResponseBodyKind = 'none' | 'length' | 'chunked' | 'until-close' | 'tunnel';

export class ResponseHead {
  status = 0;
  /** 10 or 11. */
  version: 10 | 11 = 11;
  readonly headers = new HeaderList();
  /** Holds the status line; field lines may lie in it too. */
  buf: Uint8Array = EMPTY_BYTES;
  reasonStart = 0;
  reasonEnd = 0;
  bodyKind: ResponseBodyKind = 'none';
  /** With bodyKind 'length'. For HEAD and 304 what the field says, -1 if it is absent: metadata, not framing. */
  contentLength = 0;
  /** The upstream allows another request on this connection once the message has ended. */
  isKeepAlive = true;
  /** First octet of the status line, and the one after the empty line. */
  rawHeadStart = 0;
  rawHeadEnd = 0;

  get reason(): string {
    return decodeLatin1(this.buf, this.reasonStart, this.reasonEnd);
  }

  /** Lets go of all received octets. */
  reset(): void {
    this.status = 0;
    this.headers.reset();
    this.buf = EMPTY_BYTES;
    this.reasonStart = 0;
    this.reasonEnd = 0;
    this.bodyKind = 'none';
    this.contentLength = 0;
    this.isKeepAlive = true;
  }
}
