import { expect, test } from 'bun:test';
import { GrpcStatus, type GrpcMetadata, type GrpcStreamSink, type GrpcStreamTransport } from '@sluice/wire';
import { fakeTime } from '@sluice/testkit';
import {
  decodeMessage,
  encodeMessage,
  IstioCertificateRequestTable,
  IstioCertificateResponseTable,
} from '@sluice/xds';
import { requestCertificate, type SigningAnswer } from './signing-client.ts';

/** A transport that the test speaks for. */
class Scripted implements GrpcStreamTransport {
  sink: GrpcStreamSink | null = null;
  metadata: GrpcMetadata = [];
  path = '';
  readonly sent: Uint8Array[] = [];
  isHalfClosed = false;
  isCancelled = false;
  /** Fails before `open` returns. */
  failure: string | null = null;

  open(path: string, metadata: GrpcMetadata, sink: GrpcStreamSink) {
    Object.assign(this, { path, metadata, sink });
    if (this.failure !== null) sink.onStatus(GrpcStatus.unavailable, this.failure, []);
    return {
      send: (message: Uint8Array) => this.sent.push(message) > 0,
      halfClose: () => {
        this.isHalfClosed = true;
      },
      cancel: () => {
        this.isCancelled = true;
        sink.onStatus(GrpcStatus.cancelled, 'cancelled', []);
      },
    };
  }
}

function ask(transport: Scripted, token = 'abc') {
  const time = fakeTime();
  const request = { csrPem: 'CSR', validitySeconds: 86_400, metadata: { NAME: 'a' }, token };
  return { time, answer: requestCertificate(transport, time.wheel, request) };
}

const chain = (...certChain: string[]): Uint8Array =>
  encodeMessage(IstioCertificateResponseTable, { certChain });

test('the request is one message with the token as its bearer, the answer a chain in one text', async () => {
  const transport = new Scripted();
  const { answer } = ask(transport);
  expect(transport.path).toBe('/istio.v1.auth.IstioCertificateService/CreateCertificate');
  expect(transport.metadata).toEqual([['authorization', 'Bearer abc']]);
  expect(transport.isHalfClosed).toBe(true);
  expect(transport.sent.map((bytes) => decodeMessage(IstioCertificateRequestTable, bytes))).toEqual([
    { csr: 'CSR', validityDuration: 86_400, metadata: { NAME: 'a' } },
  ]);
  transport.sink?.onMessage(chain('LEAF', 'ROOT\n'));
  transport.sink?.onStatus(0, '', []);
  expect(await answer).toEqual({ kind: 'signed', chainPem: 'LEAF\nROOT\n' });
});

test('without a token the connection’s certificate speaks alone', () => {
  const transport = new Scripted();
  ask(transport, '');
  expect(transport.metadata).toEqual([]);
});

test('an authority that does not answer in time is given up, once', async () => {
  const transport = new Scripted();
  const { time, answer } = ask(transport);
  time.advance(9_999);
  expect(transport.isCancelled).toBe(false);
  time.advance(1);
  expect(await answer).toMatchObject({ kind: 'refused', code: GrpcStatus.deadlineExceeded });
  expect(transport.isCancelled).toBe(true);
});

test.each([
  ['nothing', null, 0, { code: 13, message: 'the authority answered OK without a certificate' }],
  ['an empty chain', chain(), 0, { code: 13, message: 'the authority answered OK without a certificate' }],
  [
    'garbage',
    new Uint8Array([0xff, 0xff]),
    0,
    { code: 13, message: 'the authority answered what cannot be read' },
  ],
  ['a chain and then a refusal', chain('LEAF'), 7, { code: 7, message: 'said' }],
] as const)('%s is a refusal', async (_, message, code, expected) => {
  const transport = new Scripted();
  const { answer } = ask(transport);
  if (message !== null) transport.sink?.onMessage(message);
  transport.sink?.onStatus(code, 'said', []);
  expect(await answer).toEqual({ kind: 'refused', ...expected } as SigningAnswer);
});

test('a connection that fails before the call begins is a refusal as any other', async () => {
  const transport = new Scripted();
  transport.failure = 'connection refused';
  const { time, answer } = ask(transport);
  expect(await answer).toEqual({ kind: 'refused', code: 14, message: 'connection refused' });
  expect(time.wheel.size).toBe(0);
});
