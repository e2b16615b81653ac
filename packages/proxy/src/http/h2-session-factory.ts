import type { H2Output, H2Session, H2SessionOptions, H2SessionSink } from '@sluice/wire';

export function createH2Session(
  _options: H2SessionOptions,
  _output: H2Output,
  _sink: H2SessionSink,
  _nowMs: number,
): H2Session {
  throw new Error('the session is not there yet');
}
