/**
 * Who asks for a certificate, and which identity that entitles to. Three proofs, nothing else:
 * a join token, a Kubernetes service-account token, or a certificate of ours that asks for its own renewal.
 */
import {
  isJoinToken,
  isProblem,
  parseCertificate,
  parseWorkloadId,
  type Certificate,
  type Problem,
} from '@sluice/identity';
import type { GrpcMetadata, GrpcPeer } from '@sluice/wire';
import type { Binding, Proof } from './authority-table.ts';
import type { JoinTokens } from './join-tokens.ts';
import type { MeshAuthority } from './mesh-authority.ts';
import type { ServiceAccountTokens } from './service-account-tokens.ts';

export interface Caller {
  readonly namespace: string;
  readonly account: string;
  readonly binding: Binding;
  readonly proof: Proof;
  /** What the proof itself follows from; empty where it begins a lineage of its own. */
  readonly lineage: string;
  /** Of the join token, to be used up; empty for other proofs. */
  readonly tokenId: string;
}

export type JudgedCaller =
  | { readonly ok: true; readonly caller: Caller }
  /** `reason` goes to the log and to the peer: our words only. */
  | { readonly ok: false; readonly reason: string };

export interface CallerSources {
  readonly authority: Pick<MeshAuthority, 'verify' | 'issuedRow' | 'trustDomain' | 'lineageOf'>;
  readonly joinTokens: Pick<JoinTokens, 'judge'>;
  /** Null where no issuer is configured. */
  readonly serviceAccounts: Pick<ServiceAccountTokens, 'verify'> | null;
  /** How long after its end a certificate may ask for its renewal. */
  readonly expiredRenewalMs: number;
}

const anyInstance: Binding = { instance: '', labels: {}, ports: [] };
const bearer = 'Bearer ';
/** No serial number begins so. */
const tokenLineage = 'join-token:';
const podLineage = 'pod:';

/** `keyHash`: of the key that the certificate is asked for. */
export async function judgeCaller(
  sources: CallerSources,
  peer: GrpcPeer,
  metadata: GrpcMetadata,
  keyHash: string,
): Promise<JudgedCaller> {
  const authorization = metadata.find(([name]) => name === 'authorization')?.[1];
  if (authorization !== undefined) {
    if (!authorization.startsWith(bearer)) return refuse('the authorization is not a bearer token');
    return judgeToken(sources, authorization.slice(bearer.length).trim(), keyHash);
  }
  const chain = peer.certificateChain ?? [];
  if (chain.length === 0) return refuse('neither a token nor a client certificate was shown');
  return judgeRenewal(sources, chain);
}

/** The chain of a peer, read; a problem when any of it is not a certificate. */
export function readPresented(chain: readonly Uint8Array[]): readonly Certificate[] | Problem {
  const certificates: Certificate[] = [];
  for (const der of chain) {
    const certificate = parseCertificate(der);
    if (isProblem(certificate)) return certificate;
    certificates.push(certificate);
  }
  return certificates;
}

async function judgeToken(sources: CallerSources, token: string, keyHash: string): Promise<JudgedCaller> {
  if (isJoinToken(token)) {
    const judged = sources.joinTokens.judge(token, keyHash);
    if (!judged.ok) return judged;
    const { namespace, account, binding, id } = judged.row;
    // A token that is shown again for the same key goes on where the answer was lost.
    const lineage = `${tokenLineage}${id}`;
    return { ok: true, caller: { namespace, account, binding, proof: 'join-token', lineage, tokenId: id } };
  }
  if (sources.serviceAccounts === null) return refuse('the token is not a join token of this mesh');
  const verified = await sources.serviceAccounts.verify(token);
  if (!verified.ok) return verified;
  const { namespace, account, podUid } = verified;
  return {
    ok: true,
    caller: {
      namespace,
      account,
      binding: anyInstance,
      proof: 'service-account-token',
      // A pod has a good token at all times: all that it gets by them is one lineage, and ends with the pod.
      lineage: podUid === '' ? '' : `${podLineage}${podUid}`,
      tokenId: '',
    },
  };
}

function judgeRenewal(sources: CallerSources, chain: readonly Uint8Array[]): JudgedCaller {
  const presented = readPresented(chain);
  if (isProblem(presented)) return refuse(`the client certificate cannot be read: ${presented.message}`);
  const verified = sources.authority.verify(presented, sources.expiredRenewalMs);
  if (isProblem(verified)) return refuse(`the client certificate is not accepted: ${verified.message}`);
  const [leaf] = presented;
  const id = parseWorkloadId(leaf?.uriSans[0] ?? '');
  if (leaf === undefined || leaf.uriSans.length !== 1 || isProblem(id))
    return refuse('the client certificate names no workload');
  if (id.trustDomain !== sources.authority.trustDomain)
    return refuse('the client certificate is of another trust domain');
  const row = sources.authority.issuedRow(leaf.serial);
  if (row !== null && row.revokedMs > 0) return refuse('the client certificate has been revoked');
  const lineage = sources.authority.lineageOf(leaf.serial);
  const binding = row?.binding ?? anyInstance;
  const { namespace, account } = id;
  return { ok: true, caller: { namespace, account, binding, proof: 'certificate', lineage, tokenId: '' } };
}

function refuse(reason: string): JudgedCaller {
  return { ok: false, reason };
}
