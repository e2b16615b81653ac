/** One call of Istio's signing service, as any client of gRPC makes it. */
import type { ClientHttp2Session } from 'node:http2';
import { frameGrpcMessage, GrpcMessageDecoder } from '@sluice/wire';
import {
  decodeMessage,
  encodeMessage,
  IstioCertificateRequestTable,
  IstioCertificateResponseTable,
} from '@sluice/xds';

export const signingPath = '/istio.v1.auth.IstioCertificateService/CreateCertificate';

export interface SigningRequest {
  readonly csr: string;
  readonly bearer?: string | undefined;
  /** Seconds; default 0, as long as the authority gives. */
  readonly validityDuration?: number;
}

export interface SigningReply {
  /** Of gRPC. */
  readonly code: number;
  readonly message: string;
  /** PEM texts, leaf first. */
  readonly chain: readonly string[];
}

/** The session stays open. */
export function askToSign(
  session: ClientHttp2Session,
  { csr, bearer, validityDuration = 0 }: SigningRequest,
): Promise<SigningReply> {
  const { promise, resolve, reject } = Promise.withResolvers<SigningReply>();
  const stream = session.request({
    ':method': 'POST',
    ':path': signingPath,
    'content-type': 'application/grpc',
    ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
  });
  const chain: string[] = [];
  const decoder = new GrpcMessageDecoder(
    {
      onMessage: (message) => chain.push(...decodeMessage(IstioCertificateResponseTable, message).certChain),
      onFramingError: (code) => reject(new Error(code)),
    },
    1 << 20,
  );
  let status: Record<string, unknown> = {};
  session.on('error', reject);
  stream.on('error', reject);
  stream.on('response', (headers) => (status = { ...status, ...headers }));
  stream.on('trailers', (trailers) => (status = { ...status, ...trailers }));
  stream.on('data', (chunk: Buffer) => decoder.execute(chunk, 0, chunk.length));
  stream.on('close', () => {
    const message = decodeURIComponent(String(status['grpc-message'] ?? ''));
    resolve({ code: Number(status['grpc-status']), message, chain });
  });
  stream.end(frameGrpcMessage(encodeMessage(IstioCertificateRequestTable, { csr, validityDuration })));
  return promise;
}
