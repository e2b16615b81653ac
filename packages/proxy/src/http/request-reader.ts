/**
 * What it takes to read HTTP/1 requests and to write their answers: parser, message, options. Lent to a
 * connection from the first octet of a request to the end of its exchange, so that an idle connection holds
 * neither header tables nor limits: they would be half of what it weighs.
 */
import { H1RequestParser, type H1RequestSink, type ResponseWriteOptions } from '@sluice/wire';
import type { HttpBinding } from './exchange-services.ts';
import { h1LimitsOf } from './h1-limits.ts';
import type { RequestMessage } from './streams.ts';

/** Enough for a burst; what is beyond is left to the collector. */
const MAX_IDLE = 256;

/** Of a parser that nobody has borrowed: it is given nothing to read. */
const nobody: H1RequestSink = {
  onRequestHead() {},
  onBodyData() {},
  onTrailers() {},
  onMessageEnd() {},
  onParseError() {},
};

export class RequestReader {
  readonly parser: H1RequestParser;
  readonly message: RequestMessage;
  readonly options: ResponseWriteOptions = {
    bodyKind: 'none',
    contentLength: 0,
    connection: 'omit',
    passesUpgrade: false,
    isAnswerToHead: false,
  };

  constructor(binding: HttpBinding) {
    this.parser = new H1RequestParser(nobody, h1LimitsOf(binding));
    this.message = {
      method: '',
      scheme: 'http',
      authority: '',
      path: '',
      protocol: 'HTTP/1.1',
      headers: this.parser.head.headers,
      upgrade: '',
      expectsContinue: false,
      contentLength: -1,
    };
  }
}

export class RequestReaderPool {
  readonly #binding: HttpBinding;
  readonly #idle: RequestReader[] = [];

  constructor(binding: HttpBinding) {
    this.#binding = binding;
  }

  take(sink: H1RequestSink): RequestReader {
    const reader = this.#idle.pop() ?? new RequestReader(this.#binding);
    reader.parser.attach(sink);
    return reader;
  }

  /** Between requests only. Lets go of all that was received. */
  give(reader: RequestReader): void {
    reader.parser.reset();
    reader.parser.attach(nobody);
    if (this.#idle.length < MAX_IDLE) this.#idle.push(reader);
  }
}

const pools = new WeakMap<HttpBinding, RequestReaderPool>();

export function requestReadersOf(binding: HttpBinding): RequestReaderPool {
  let pool = pools.get(binding);
  if (pool === undefined) pools.set(binding, (pool = new RequestReaderPool(binding)));
  return pool;
}
