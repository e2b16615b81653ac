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
