/** What the HTTP/1 parsers report: shared constants, since an error must cost no more than a request. */
import { wireErrors, type WireErrorCode } from '../errors.ts';

export interface H1ParseError {
  readonly code: WireErrorCode;
  /** For a request: the answer to the client. For a response: always 502. */
  readonly status: number;
  /** From the code's table; holds nothing that the peer sent. */
  readonly message: string;
}

export function requestError(code: WireErrorCode): H1ParseError {
  return ofRequests.get(code)!;
}

export function responseError(code: WireErrorCode): H1ParseError {
  return ofResponses.get(code)!;
}

const ofRequests = table((httpStatus) => httpStatus);
const ofResponses = table(() => 502);

function table(status: (httpStatus: number) => number): ReadonlyMap<WireErrorCode, H1ParseError> {
  return new Map(
    wireErrors.entries.map((entry) => [
      entry.code,
      Object.freeze({ code: entry.code, status: status(entry.httpStatus ?? 400), message: entry.meaning }),
    ]),
  );
}
