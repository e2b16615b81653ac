/** `tls` of a DestinationRule: which fields each mode needs, and which it has no use for. */
import type { Path } from '../position.ts';
import type { ClientTlsSettings } from '../schema/istio/traffic-policy.ts';
import type { Findings } from './findings.ts';
import { hostProblem } from './names.ts';

/** Where keys and certificates come from. */
const fileFields = ['clientCertificate', 'privateKey', 'caCertificates', 'caCrl'] as const;
const allFields = [...fileFields, 'credentialName', 'subjectAltNames', 'sni', 'insecureSkipVerify'] as const;

export function checkClientTls(tls: ClientTlsSettings | undefined, path: Path, findings: Findings): void {
  findings.check(tls, path, (tls) => {
    const written = allFields.filter((field) => tls[field] !== undefined);
    const [first] = written;
    if (tls.mode === undefined || tls.mode === 'DISABLE') {
      if (first === undefined) return;
      const message = `${first} has no effect: ${tls.mode === undefined ? 'without a mode' : 'with mode DISABLE'} connections are not encrypted`;
      const suggestion = 'set mode to SIMPLE, MUTUAL or ISTIO_MUTUAL';
      findings.add('conflicting-fields', path, message, { suggestion, part: 'key' });
      return;
    }
    if (tls.mode === 'ISTIO_MUTUAL') checkIstioMutual(tls, path, findings);
    else if (tls.credentialName !== undefined) checkCredentialName(tls, path, findings);
    else checkFiles(tls, path, findings);
    checkVerification(tls, path, findings);
    findings.check(tls.sni, [...path, 'sni'], (sni, at) => {
      const problem = sni === '' ? undefined : hostProblem(sni, {});
      if (problem !== undefined) findings.add('invalid-host', at, problem);
    });
  });
}

/** Certificates are the mesh's own. */
function checkIstioMutual(tls: ClientTlsSettings, path: Path, findings: Findings): void {
  for (const field of [...fileFields, 'credentialName', 'insecureSkipVerify'] as const) {
    const value = tls[field];
    if (value === undefined || value === '' || value === false) continue;
    const message = 'must not be set with mode ISTIO_MUTUAL, which uses the certificates of the mesh';
    findings.add('conflicting-fields', [...path, field], message, { part: 'key' });
  }
}

function checkCredentialName(tls: ClientTlsSettings, path: Path, findings: Findings): void {
  if (!/^[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?$/.test(tls.credentialName ?? ''))
    findings.add('invalid-name', [...path, 'credentialName'], 'must be the name of a Secret');
  for (const field of fileFields) {
    if (!tls[field]) continue;
    const message =
      'must not be set beside credentialName, whose Secret holds keys, certificates and authorities';
    findings.add('conflicting-fields', [...path, field], message, { part: 'key' });
  }
}

function checkFiles(tls: ClientTlsSettings, path: Path, findings: Findings): void {
  if (tls.mode === 'MUTUAL') {
    for (const field of ['clientCertificate', 'privateKey'] as const) {
      if (tls[field]) continue;
      const message = 'is required with mode MUTUAL, or credentialName in its place';
      findings.add('required', [...path, field], message, { part: 'key' });
    }
  } else {
    for (const field of ['clientCertificate', 'privateKey'] as const) {
      if (!tls[field]) continue;
      const message = 'has no effect with mode SIMPLE, which shows no certificate';
      findings.add('conflicting-fields', [...path, field], message, {
        suggestion: 'use mode MUTUAL',
        part: 'key',
      });
    }
  }
  if (tls.caCrl && !tls.caCertificates) {
    findings.add(
      'conflicting-fields',
      [...path, 'caCrl'],
      'needs caCertificates, whose certificates it revokes',
      {
        part: 'key',
      },
    );
  }
  for (const field of fileFields) {
    const file = tls[field];
    if (
      file !== undefined &&
      file !== '' &&
      !file.startsWith('/') &&
      !(field === 'caCertificates' && file === 'system')
    )
      findings.add(
        'invalid-value',
        [...path, field],
        'must be an absolute path of a file beside the workload',
      );
  }
}

function checkVerification(tls: ClientTlsSettings, path: Path, findings: Findings): void {
  if (tls.insecureSkipVerify !== true) return;
  for (const field of ['caCertificates', 'subjectAltNames'] as const) {
    if (tls[field] === undefined || tls[field].length === 0) continue;
    const message = 'has no effect with insecureSkipVerify';
    findings.add('conflicting-fields', [...path, field], message, { part: 'key' });
  }
  if (tls.mode === 'ISTIO_MUTUAL') return;
  findings.add('insecure', [...path, 'insecureSkipVerify'], 'anybody can stand in for the server', {
    severity: 'warning',
    suggestion: 'name its authorities in caCertificates or in a Secret',
  });
}
