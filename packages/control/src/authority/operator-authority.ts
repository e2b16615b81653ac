/**
 * An authority that the operator brings, in the four parts that Istio's users know: `ca-cert.pem` and its
 * `ca-key.pem` sign, `cert-chain.pem` leads from there to `root-cert.pem`, which everybody trusts (several roots
 * while one takes over from another). As files of a folder, or as the Secret `cacerts` of the root namespace.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  importPrivateKey,
  isProblem,
  parseChain,
  verifyChain,
  type Authority,
  type Certificate,
  type Problem,
} from '@sluice/identity';
import { localError } from '../errors.ts';

export const operatorFiles = {
  certificate: 'ca-cert.pem',
  key: 'ca-key.pem',
  root: 'root-cert.pem',
  chain: 'cert-chain.pem',
} as const;

/** Name of the Secret, in the root namespace. */
export const operatorSecretName = 'cacerts';

export interface OperatorAuthority {
  readonly signing: Authority;
  /** From what signs, itself included, up to the root, without the root. */
  readonly chain: readonly Certificate[];
  /** The root that the chain leads to. */
  readonly root: Certificate;
  /** Everything that is to be trusted. */
  readonly roots: readonly Certificate[];
}

/** Where the four parts are read from; null for a part that is not there. */
export type ReadPart = (name: string) => string | null;

/** Reads the parts of a folder. Throws `authority-invalid`. */
export function readOperatorFolder(folder: string, nowMs: number): OperatorAuthority {
  const read = (name: string): string | null => {
    try {
      return readFileSync(join(folder, name), 'utf8');
    } catch (error) {
      const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
      if (isMissing) return null;
      throw localError('authority-invalid', `${join(folder, name)} cannot be read`, error);
    }
  };
  return readOperatorAuthority(read, folder, nowMs);
}

/** Throws `authority-invalid` with the part that is wrong; `where` is for the message. */
export function readOperatorAuthority(read: ReadPart, where: string, nowMs: number): OperatorAuthority {
  const refuse = (part: string, what: string): Error =>
    localError('authority-invalid', `${part} of ${where}: ${what}`);
  const need = (part: string): string => {
    const text = read(part);
    if (text === null || text.trim() === '') throw refuse(part, 'it is missing');
    return text;
  };
  const good = <T>(part: string, value: T | Problem): T => {
    if (isProblem(value)) throw refuse(part, value.message);
    return value;
  };
  const [certificate] = good(operatorFiles.certificate, parseChain(need(operatorFiles.certificate)));
  const key = good(operatorFiles.key, importPrivateKey(need(operatorFiles.key)));
  const roots = good(operatorFiles.root, parseChain(need(operatorFiles.root)));
  const chainText = read(operatorFiles.chain) ?? '';
  const above = chainText.trim() === '' ? [] : good(operatorFiles.chain, parseChain(chainText));
  if (certificate === undefined || !certificate.isCa)
    throw refuse(operatorFiles.certificate, 'it is not the certificate of an authority');
  if (Buffer.compare(certificate.spki, key.spki) !== 0)
    throw refuse(operatorFiles.key, `it is not the key of ${operatorFiles.certificate}`);
  const path = verifyChain([certificate, ...above], roots, { nowMs });
  if (isProblem(path))
    throw refuse(operatorFiles.chain, `from ${operatorFiles.certificate}, ${path.message}`);
  const root = path[path.length - 1] ?? certificate;
  const chain = path.length === 1 ? [] : path.slice(0, -1);
  return { signing: { certificate, key }, chain, root, roots };
}
