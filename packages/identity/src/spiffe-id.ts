/**
 * SPIFFE IDs (https://github.com/spiffe/spiffe, SPIFFE-ID §2), and the one form of them that names a workload
 * here, which is Istio's: `spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT`.
 */
import { isProblem, problem, type Problem } from './problem.ts';

export interface SpiffeId {
  /** `spiffe://…`, exactly as given. */
  readonly text: string;
  readonly trustDomain: string;
  /** Begins with `/`; empty for the trust domain itself. */
  readonly path: string;
}

/** A SPIFFE ID that names a workload by its account. */
export interface WorkloadId extends SpiffeId {
  readonly namespace: string;
  readonly account: string;
}

const scheme = 'spiffe://';
/** SPIFFE-ID §2.3. */
const maxIdBytes = 2048;
const maxTrustDomainBytes = 255;
const trustDomainForm = /^[a-z0-9._-]+$/;
const segmentForm = /^[A-Za-z0-9._-]+$/;
const workloadPath = /^\/ns\/([^/]+)\/sa\/([^/]+)$/;

export function parseSpiffeId(text: string): SpiffeId | Problem {
  if (text.length > maxIdBytes) return problem('too-large', `a SPIFFE ID has at most ${maxIdBytes} bytes`);
  if (!text.startsWith(scheme)) return problem('wrong-identity', 'a SPIFFE ID begins with spiffe://');
  const slash = text.indexOf('/', scheme.length);
  const trustDomain = slash < 0 ? text.slice(scheme.length) : text.slice(scheme.length, slash);
  const path = slash < 0 ? '' : text.slice(slash);
  if (!isTrustDomain(trustDomain))
    return problem(
      'wrong-identity',
      'a trust domain has lower-case letters, digits, dots, dashes and underscores',
    );
  for (const segment of path.split('/').slice(1)) {
    if (!segmentForm.test(segment) || segment === '.' || segment === '..')
      return problem(
        'wrong-identity',
        'a segment of a SPIFFE ID has letters, digits, dots, dashes and underscores',
      );
  }
  return { text, trustDomain, path };
}

/** The namespace and account that an ID names; a problem for IDs of other forms. */
export function parseWorkloadId(text: string): WorkloadId | Problem {
  const id = parseSpiffeId(text);
  if (isProblem(id)) return id;
  const [, namespace, account] = workloadPath.exec(id.path) ?? [];
  if (namespace === undefined || account === undefined)
    return problem('wrong-identity', 'a workload is named spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT');
  return { ...id, namespace, account };
}

export function isTrustDomain(text: string): boolean {
  return text.length <= maxTrustDomainBytes && trustDomainForm.test(text);
}

/** The ID of a workload. Its parts are names that were checked where they came in. */
export function spiffeId(trustDomain: string, namespace: string, account: string): string {
  return `${scheme}${trustDomain}/ns/${namespace}/sa/${account}`;
}
