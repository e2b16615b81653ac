/** Cipher suites and curves of meshConfig: those that proxies have; a name they do not know would stop all of them. */
import type { Path } from '../position.ts';
import type { MeshConfig } from '../schema/mesh-config.ts';
import type { Findings } from './findings.ts';

/** Of TLS 1.2, by OpenSSL's names: what BoringSSL has, and Envoy with it. */
const suites: ReadonlySet<string> = new Set([
  ...['AES128-GCM-SHA256', 'AES256-GCM-SHA384', 'CHACHA20-POLY1305', 'AES128-SHA', 'AES256-SHA'].flatMap(
    (name) => [`ECDHE-ECDSA-${name}`, `ECDHE-RSA-${name}`],
  ),
  'AES128-GCM-SHA256',
  'AES256-GCM-SHA384',
  'AES128-SHA',
  'AES256-SHA',
]);
const curves: ReadonlySet<string> = new Set(['X25519', 'P-256', 'P-384', 'P-521', 'X25519MLKEM768']);

export function checkTlsParameters(tls: MeshConfig['meshMTLS'], path: Path, findings: Findings): void {
  findings.each(tls?.cipherSuites, [...path, 'cipherSuites'], (name, at) => {
    if (suites.has(name)) return;
    const isFixed = /^TLS_(?:AES|CHACHA20)/.test(name);
    const message = isFixed
      ? 'the suites of TLS 1.3 cannot be chosen'
      : `${name.slice(0, 60)} is not a suite of the proxies`;
    findings.add('invalid-value', at, message, {
      suggestion: `use ${[...suites].slice(0, 3).join(', ')}, …`,
    });
  });
  findings.each(tls?.ecdhCurves, [...path, 'ecdhCurves'], (name, at) => {
    if (curves.has(name)) return;
    findings.add('invalid-value', at, `${name.slice(0, 60)} is not a curve of the proxies`, {
      suggestion: `use ${[...curves].join(', ')}`,
    });
  });
}
