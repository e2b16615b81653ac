/** Workload identity: SPIFFE IDs, X.509-SVIDs, certificate requests, authorities and trust bundles. */
export { isProblem, problem, type Problem, type ProblemCode } from './problem.ts';
export {
  isTrustDomain,
  parseSpiffeId,
  parseWorkloadId,
  spiffeId,
  type SpiffeId,
  type WorkloadId,
} from './spiffe-id.ts';
export {
  exportPrivateKey,
  generateKey,
  generateKeySync,
  importPrivateKey,
  keyKinds,
  parseKeyKind,
  spkiSha256,
  type KeyKind,
  type KeyPair,
} from './keys.ts';
export { formatPem, parsePem, type PemBlock } from './pem.ts';
export { parseSerial } from './serial.ts';
export {
  certificatePem,
  chainPem,
  parseCertificate,
  parseChain,
  type Certificate,
} from './x509/certificate.ts';
export type { NameParts } from './x509/distinguished-name.ts';
export type { SubjectAltNames } from './x509/general-names.ts';
export { issueCertificate, type CertificateTemplate, type Issuer } from './x509/issue-certificate.ts';
export { createIntermediate, createRoot, type Authority, type AuthoritySpec } from './x509/authority.ts';
export { createCsr, csrPem, parseCsr, type Csr, type CsrNames } from './x509/csr.ts';
export {
  crlPem,
  issueCrl,
  maySignCrls,
  parseCrl,
  verifyCrl,
  type Crl,
  type CrlTemplate,
} from './x509/crl.ts';
export { verifyChain, type VerifyOptions } from './x509/verify-chain.ts';
export { parseTrustBundle, trustBundle, type TrustBundle } from './trust-bundle.ts';
export {
  formatJoinToken,
  hashSecret,
  isJoinToken,
  newJoinToken,
  parseJoinToken,
  type JoinToken,
} from './join-token.ts';
