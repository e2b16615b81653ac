/**
 * Roots and revocation lists as they are judged by, read once for each source: a thousand clusters that name
 * one secret share what it holds, lists of thousands of serials included.
 */
import {
  isProblem,
  parseCertificate,
  parseCrl,
  parsePem,
  type Certificate,
  type Crl,
} from '@sluice/identity';
import { contentHash } from '@sluice/runtime';
import type { CertificateValidationContext, DataSource } from '@sluice/xds';
import type { ProblemScope } from '../config/problems.ts';
import { systemRoots } from '../io/tls-engine.ts';

export interface Trust {
  /** Null = chains are not judged. */
  readonly pem: string | null;
  /** Differs between any two sets of roots. */
  readonly key: string;
  roots(): readonly Certificate[];
}

const none: Trust = { pem: null, key: '', roots: () => [] };
const trusts = new WeakMap<DataSource, Trust>();
const lists = new WeakMap<DataSource, readonly Crl[]>();
let system: Trust | null = null;

/** Messages never change once decoded; every DataSource is inline. */
export function trustOf({ trustedCa, systemRootCerts }: CertificateValidationContext): Trust {
  if (trustedCa === undefined)
    return systemRootCerts === undefined ? none : (system ??= trustIn(systemRoots()));
  let trust = trusts.get(trustedCa);
  if (trust === undefined) trusts.set(trustedCa, (trust = trustIn(textOf(trustedCa))));
  return trust;
}

/** What cannot be read is a problem, told to each who asks. */
export function crlsOf(source: DataSource | undefined, scope: ProblemScope): readonly Crl[] {
  if (source === undefined) return [];
  const known = lists.get(source);
  if (known !== undefined) return known;
  const blocks = parsePem(textOf(source));
  if (isProblem(blocks)) {
    scope.error(blocks.message);
    return [];
  }
  const read = blocks.filter(({ label }) => label === 'X509 CRL').map(({ der }) => parseCrl(der));
  const crls: Crl[] = [];
  for (const crl of read) {
    if (isProblem(crl)) scope.error(crl.message);
    else crls.push(crl);
  }
  if (crls.length === read.length) lists.set(source, crls);
  return crls;
}

export function textOf(source: DataSource | undefined): string {
  if (source?.inlineString !== undefined) return source.inlineString;
  return source?.inlineBytes === undefined ? '' : Buffer.from(source.inlineBytes).toString('latin1');
}

function trustIn(pem: string): Trust {
  let roots: readonly Certificate[] | null = null;
  return { pem, key: contentHash(pem), roots: () => (roots ??= readRoots(pem)) };
}

/** For what the engine cannot be asked. A root that cannot be read here signs nothing that is judged here. */
function readRoots(pem: string): readonly Certificate[] {
  const blocks = parsePem(pem);
  if (isProblem(blocks)) return [];
  return blocks.flatMap(({ label, der }) => {
    const certificate = label === 'CERTIFICATE' ? parseCertificate(der) : null;
    return certificate === null || isProblem(certificate) ? [] : [certificate];
  });
}
