/**
 * Secrets: base64 that decodes, and certificates and keys that can be used. A Secret that carries neither under the
 * names Istio reads is somebody else's and only has to be well formed. Messages never quote a value.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { Path } from '../position.ts';
import type { Secret } from '../resource-types.ts';
import { secretContent, secretNames } from '../secret-content.ts';
import type { Findings } from './findings.ts';

/** As in Kubernetes: an object of etcd, and a ConfigMap's limit too. */
const maxSecretBytes = 1024 * 1024;
const tlsType = 'kubernetes.io/tls';

export function checkSecret(object: Secret, findings: Findings): void {
  let byteCount = 0;
  findings.check(object.data, ['data'], (data, path) => {
    for (const [name, text] of Object.entries(data)) {
      const at = [...path, name];
      checkName(name, at, findings);
      if (!isBase64(text)) {
        findings.add('invalid-value', at, 'must be base64', {
          suggestion: 'write plain text under stringData',
        });
      }
      byteCount += Math.ceil((text.length * 3) / 4);
    }
  });
  findings.check(object.stringData, ['stringData'], (data, path) => {
    for (const [name, text] of Object.entries(data)) {
      checkName(name, [...path, name], findings);
      byteCount += Buffer.byteLength(text);
    }
  });
  if (byteCount > maxSecretBytes) findings.add('too-large', ['data'], 'must have at most 1 MiB in all');
  if (findings.isBroken(['data']) || findings.isBroken(['stringData'])) return;
  if (findings.problems.some((problem) => problem.severity === 'error')) return;
  checkCredential(object, findings);
}

function checkName(name: string, path: Path, findings: Findings): void {
  if (/^[-._a-zA-Z0-9]{1,253}$/.test(name)) return;
  findings.add('invalid-name', path, 'must be letters, digits, -, _ and .', { part: 'key' });
}

/** Strict: Buffer's own decoder passes over what it does not know. */
function isBase64(text: string): boolean {
  const packed = text.replaceAll(/\s+/g, '');
  return packed.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(packed);
}

/** What Istio would read as certificate, key, authorities and revocations. */
function checkCredential(object: Secret, findings: Findings): void {
  const content = secretContent(object);
  const place = (name: string): Path => [
    object.stringData !== undefined && Object.hasOwn(object.stringData, name) ? 'stringData' : 'data',
    name,
  ];
  const isTls = object.type === tlsType;
  if (isTls) {
    for (const name of ['tls.crt', 'tls.key']) {
      if (content.get(name) === undefined)
        findings.add('required', ['data', name], `is required with type ${tlsType}`, { part: 'key' });
    }
  }
  for (const names of secretNames) {
    const chain = certificatesAt(names.chain);
    certificatesAt(names.authorities);
    checkPem(names.crl, 'X509 CRL', 'must be revocation lists in PEM');
    const key = content.get(names.key);
    if (key === undefined || chain === undefined) continue;
    checkKey(key, chain, place(names.key), isTls, findings);
  }

  function certificatesAt(name: string): X509Certificate | undefined {
    const text = content.get(name);
    if (text === undefined || text === '') return undefined;
    const blocks = text.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
    const parsed = blocks.map(parseCertificate);
    const first = parsed[0];
    if (first === undefined || parsed.includes(undefined)) {
      report(name, 'must be certificates in PEM');
      return undefined;
    }
    return first;
  }

  function checkPem(name: string, label: string, message: string): void {
    const text = content.get(name);
    if (text !== undefined && text !== '' && !text.includes(`-----BEGIN ${label}-----`))
      report(name, message);
  }

  /** Under other types the same names may mean something else to somebody else. */
  function report(name: string, message: string): void {
    findings.add('invalid-value', place(name), message, isTls ? {} : { severity: 'warning' });
  }
}

function parseCertificate(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined;
  }
}

function checkKey(
  pem: string,
  certificate: X509Certificate,
  path: Path,
  isTls: boolean,
  findings: Findings,
): void {
  const severity = isTls ? {} : ({ severity: 'warning' } as const);
  try {
    if (certificate.checkPrivateKey(createPrivateKey(pem))) return;
    findings.add('invalid-value', path, 'is not the key of the certificate', severity);
  } catch {
    findings.add('invalid-value', path, 'must be a private key in PEM, without a passphrase', severity);
  }
}
