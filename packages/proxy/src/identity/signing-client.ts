/**
 * One call of `IstioCertificateService/CreateCertificate`: a request for a certificate in, a chain or the
 * authority's refusal out. Whose request it is, the bearer token or the connection's certificate says.
 */
import { TimerNode, type TimerWheel } from '@sluice/runtime';
import { GrpcStatus, type GrpcMetadata, type GrpcStreamTransport } from '@sluice/wire';
import {
  decodeMessage,
  encodeMessage,
  IstioCertificateRequestTable,
  IstioCertificateResponseTable,
  XdsDecodeError,
  type JsonObject,
} from '@sluice/xds';

export interface SigningRequest {
  readonly csrPem: string;
  readonly validitySeconds: number;
  /** Told to the authority as it is: what the node says of itself. */
  readonly metadata: JsonObject;
  /** Empty: the connection's certificate speaks. */
  readonly token: string;
}

export type SigningAnswer =
  | { readonly kind: 'signed'; readonly chainPem: string }
  /** `code`: a gRPC status code. */
  | { readonly kind: 'refused'; readonly code: number; readonly message: string };

const path = '/istio.v1.auth.IstioCertificateService/CreateCertificate';
/** A signature takes milliseconds; an authority that waits longer for its store is as good as down. */
const callTimeoutMs = 10_000;

/** Never rejects. */
export function requestCertificate(
  transport: GrpcStreamTransport,
  timers: TimerWheel,
  request: SigningRequest,
): Promise<SigningAnswer> {
  const { promise, resolve } = Promise.withResolvers<SigningAnswer>();
  let answer: SigningAnswer | null = null;
  // Made before the call: a transport may report failure before `open` returns.
  const deadline = new TimerNode(() => {
    resolve({
      kind: 'refused',
      code: GrpcStatus.deadlineExceeded,
      message: 'the authority did not answer in time',
    });
    stream.cancel();
  });
  timers.arm(deadline, callTimeoutMs);
  const stream = transport.open(path, metadataOf(request), {
    onMessage(message) {
      answer ??= readAnswer(message);
    },
    onStatus(code, message) {
      timers.disarm(deadline);
      resolve(code === GrpcStatus.ok ? (answer ?? noAnswer) : { kind: 'refused', code, message });
    },
  });
  stream.send(
    encodeMessage(IstioCertificateRequestTable, {
      csr: request.csrPem,
      validityDuration: request.validitySeconds,
      metadata: request.metadata,
    }),
  );
  stream.halfClose();
  return promise;
}

/** An engine's words for a peer that speaks no TLS help nobody who mixed up two ports. */
export function explainRefusal(message: string, target: string): string {
  if (!message.includes('WRONG_VERSION_NUMBER')) return message;
  return `what listens at ${target} does not speak TLS: --ca-address must name the secure port, 15012 by default (${message})`;
}

const noAnswer: SigningAnswer = {
  kind: 'refused',
  code: GrpcStatus.internal,
  message: 'the authority answered OK without a certificate',
};

function metadataOf({ token }: SigningRequest): GrpcMetadata {
  return token === '' ? [] : [['authorization', `Bearer ${token}`]];
}

function readAnswer(message: Uint8Array): SigningAnswer {
  try {
    const { certChain } = decodeMessage(IstioCertificateResponseTable, message);
    if (certChain.length === 0) return noAnswer;
    return { kind: 'signed', chainPem: certChain.map((pem) => `${pem.trimEnd()}\n`).join('') };
  } catch (error) {
    if (!(error instanceof XdsDecodeError)) throw error;
    return {
      kind: 'refused',
      code: GrpcStatus.internal,
      message: 'the authority answered what cannot be read',
    };
  }
}
