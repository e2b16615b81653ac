/** What an exchange refers to between two requests: nothing can be sent there. */
import { HeaderList } from '@sluice/wire';
import type { DownstreamStream, RequestMessage } from './streams.ts';

function nothing(): void {}

export const detachedStream: DownstreamStream = {
  isWritable: true,
  sendInformational: nothing,
  sendHead: nothing,
  sendData: nothing,
  sendEnd: nothing,
  consumed: nothing,
  abort: nothing,
  flush: nothing,
  exchangeEnded: nothing,
};

export const detachedMessage: RequestMessage = {
  method: '',
  scheme: 'http',
  authority: '',
  path: '',
  protocol: 'HTTP/1.1',
  headers: new HeaderList(),
  upgrade: '',
  expectsContinue: false,
  contentLength: -1,
};
