/**
 * `istio.v1.auth.IstioCertificateService/CreateCertificate`: a request for a certificate in, a chain out, or a refusal
 * that says why. What is granted follows from the proof alone; a request that names anything else is refused rather
 * than corrected. Every request leaves a line in the audit log.
 */
import { isProblem, parseCsr, spiffeId, spkiSha256, type Csr } from '@sluice/identity';
import type { Logger } from '@sluice/runtime';
import {
  GrpcStatus,
  type GrpcHandler,
  type GrpcMetadata,
  type GrpcPeer,
  type GrpcServerStream,
} from '@sluice/wire';
import {
  decodeMessage,
  encodeMessage,
  IstioCertificateRequestTable,
  IstioCertificateResponseTable,
  XdsDecodeError,
} from '@sluice/xds';
import { hasErrorCode } from '../errors.ts';
import type { AuthorityMetrics, RefusalKind } from './authority-metrics.ts';
import { judgeCaller, type Caller, type CallerSources } from './caller.ts';
import type { JoinTokens } from './join-tokens.ts';
import { chainTexts, type MeshAuthority } from './mesh-authority.ts';

export const signingPath = '/istio.v1.auth.IstioCertificateService/CreateCertificate';

const defaultRequestTimeoutMs = 10_000;

export interface SigningServiceOptions extends CallerSources {
  readonly authority: CallerSources['authority'] & Pick<MeshAuthority, 'issue' | 'isLineageRevoked'>;
  readonly joinTokens: Pick<JoinTokens, 'judge' | 'spend'>;
  readonly metrics: AuthorityMetrics;
  /** SPIFFE ID of the control plane, by which proxies know it: given to nobody who asks. */
  readonly controlId: string;
  /** How long a caller may take to say what it wants; 10 s if absent. */
  readonly requestTimeoutMs?: number;
  /** The audit log. */
  readonly log: Logger;
}

type Answer =
  | { readonly ok: true; readonly message: Uint8Array }
  | { readonly ok: false; readonly kind: RefusalKind; readonly code: number; readonly reason: string };

/** What a refusal knew of who asked. */
interface Asked {
  caller: Caller | null;
}

export function signingHandler(options: SigningServiceOptions): GrpcHandler {
  return (stream) => {
    let isOver = false;
    let isAsked = false;
    // Anybody may open this stream: who says nothing on it must not hold a connection for ever.
    const timer = setTimeout(() => {
      isAsked = true;
      stream.end(GrpcStatus.deadlineExceeded, 'no request came in time');
    }, options.requestTimeoutMs ?? defaultRequestTimeoutMs);
    return {
      onMessage(message) {
        if (isAsked) return;
        isAsked = true;
        clearTimeout(timer);
        void answer(options, stream, message, () => isOver);
      },
      onHalfClose() {
        clearTimeout(timer);
        if (!isAsked) stream.end(GrpcStatus.invalidArgument, 'no request was sent');
      },
      onCancelled() {
        clearTimeout(timer);
        isOver = true;
      },
    };
  };
}

async function answer(
  options: SigningServiceOptions,
  stream: GrpcServerStream,
  message: Uint8Array,
  isOver: () => boolean,
): Promise<void> {
  const asked: Asked = { caller: null };
  options.metrics.asked();
  const result = await sign(options, stream.peer, stream.metadata, message, asked).catch(
    (error: unknown): Answer => {
      options.log.error('a certificate could not be signed', {
        error: error instanceof Error ? (error.stack ?? error.message) : String(error),
      });
      return refuse('signing', GrpcStatus.internal, 'the certificate could not be signed');
    },
  );
  const facts = { peer: stream.peer.address, ...describe(asked.caller, options.authority.trustDomain) };
  if (result.ok) options.metrics.issued();
  else {
    options.metrics.refused(result.kind);
    options.log.warning('certificate refused', { ...facts, reason: result.reason });
  }
  if (isOver()) return;
  if (!result.ok) return stream.end(result.code, result.reason);
  stream.send(result.message);
  stream.end(GrpcStatus.ok);
}

async function sign(
  options: SigningServiceOptions,
  peer: GrpcPeer,
  metadata: GrpcMetadata,
  message: Uint8Array,
  asked: Asked,
): Promise<Answer> {
  const request = readRequest(message);
  if (request === null) return refuse('csr', GrpcStatus.invalidArgument, 'the request cannot be read');
  const csr = parseCsr(request.csr);
  if (isProblem(csr))
    return refuse(
      'csr',
      GrpcStatus.invalidArgument,
      `the certificate request cannot be taken: ${csr.message}`,
    );
  const keyHash = spkiSha256(csr.spki);
  const judged = await judgeCaller(options, peer, metadata, keyHash);
  if (!judged.ok) return refuse('authentication', GrpcStatus.unauthenticated, judged.reason);
  const { caller } = judged;
  asked.caller = caller;
  const granted = spiffeId(options.authority.trustDomain, caller.namespace, caller.account);
  if (granted === options.controlId)
    return refuse('identity', GrpcStatus.permissionDenied, `${granted} is the control plane’s own identity`);
  const wrong = judgeNames(csr, granted);
  if (wrong !== null) return refuse('identity', GrpcStatus.permissionDenied, wrong);
  // Asked after the last wait: nothing can be revoked between here and the signature.
  if (caller.lineage !== '' && options.authority.isLineageRevoked(caller.lineage))
    return refuse(
      'authentication',
      GrpcStatus.unauthenticated,
      'the workload has been revoked, with all that follows from its first proof: it needs a new join token, or a new pod',
    );
  try {
    return issue(options, peer, caller, { spki: csr.spki, keyHash, ttlMs: request.validitySeconds * 1000 });
  } catch (error) {
    if (!hasErrorCode(error, 'state-unwritable')) throw error;
    return refuse('signing', GrpcStatus.unavailable, 'the control plane’s disk is full');
  }
}

/** Nothing is handed out that was not recorded: both writes are durable before the answer. Throws `state-unwritable`. */
function issue(
  { authority, joinTokens, log }: SigningServiceOptions,
  peer: GrpcPeer,
  caller: Caller,
  { spki, keyHash, ttlMs }: { readonly spki: Uint8Array; readonly keyHash: string; readonly ttlMs: number },
): Answer {
  const { namespace, account, binding, proof, lineage, tokenId } = caller;
  if (tokenId !== '' && !joinTokens.spend(tokenId, keyHash))
    return refuse(
      'authentication',
      GrpcStatus.unauthenticated,
      'the join token has been used: it is good once',
    );
  const following = lineage === '' ? {} : { lineage };
  const { leaf, chain } = authority.issue({ spki, namespace, account, binding, proof, ttlMs, ...following });
  log.info('certificate issued', {
    peer: peer.address,
    ...describe(caller, authority.trustDomain),
    serial: leaf.serial,
    expires: new Date(leaf.notAfterMs).toISOString(),
  });
  return {
    ok: true,
    message: encodeMessage(IstioCertificateResponseTable, { certChain: chainTexts(chain) }),
  };
}

/** The proof decides the identity: a request may leave it out or repeat it. */
function judgeNames(csr: Csr, granted: string): string | null {
  if (csr.uriSans.some((uri) => uri !== granted))
    return `the request names an identity that the proof does not give: it gives ${granted}`;
  if (csr.dnsSans.length + csr.ipSans.length + csr.emailSans.length > 0)
    return 'the request names hosts, addresses or mailboxes; a workload’s certificate names its SPIFFE ID only';
  return null;
}

function readRequest(bytes: Uint8Array): { readonly csr: string; readonly validitySeconds: number } | null {
  try {
    const { csr, validityDuration } = decodeMessage(IstioCertificateRequestTable, bytes);
    const validitySeconds = Number(validityDuration);
    return {
      csr,
      validitySeconds: Number.isFinite(validitySeconds) && validitySeconds > 0 ? validitySeconds : 0,
    };
  } catch (error) {
    if (!(error instanceof XdsDecodeError)) throw error;
    return null;
  }
}

function describe(caller: Caller | null, trustDomain: string): Record<string, string> {
  if (caller === null) return {};
  const { namespace, account, binding, proof } = caller;
  const instance = binding.instance === '' ? {} : { instance: binding.instance };
  return { proof, identity: spiffeId(trustDomain, namespace, account), ...instance };
}

function refuse(kind: RefusalKind, code: number, reason: string): Answer {
  return { ok: false, kind, code, reason };
}
