/** Versions, cipher suites and groups: what the engine lets one choose, and a plain no to the rest. */
import type { TlsParameters, TlsParameters_TlsProtocol } from '@sluice/xds';
import type { ProblemScope } from '../config/problems.ts';
import type { TlsVersion } from '../io/tls-context.ts';

export interface TlsParams {
  readonly minVersion: TlsVersion;
  readonly maxVersion: TlsVersion;
  readonly ciphers: string;
  readonly curves: string;
}

const versions: Readonly<Record<Exclude<TlsParameters_TlsProtocol, 'TLS_AUTO'>, TlsVersion>> = {
  TLSv1_0: 0x0301,
  TLSv1_1: 0x0302,
  TLSv1_2: 0x0303,
  TLSv1_3: 0x0304,
};

/** BoringSSL's suites for TLS 1.2 and below, by OpenSSL's names. */
const suites: ReadonlySet<string> = new Set([
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-ECDSA-AES128-SHA',
  'ECDHE-ECDSA-AES256-SHA',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-RSA-CHACHA20-POLY1305',
  'ECDHE-RSA-AES128-SHA',
  'ECDHE-RSA-AES256-SHA',
  'AES128-GCM-SHA256',
  'AES256-GCM-SHA384',
  'AES128-SHA',
  'AES256-SHA',
]);
const groups: ReadonlySet<string> = new Set(['X25519', 'P-256', 'P-384', 'P-521', 'X25519MLKEM768']);

/** Absent = Envoy's defaults: TLS 1.2 to 1.3, the engine's suites and groups. */
export function compileTlsParams(message: TlsParameters | undefined, scope: ProblemScope): TlsParams {
  const min = message?.tlsMinimumProtocolVersion ?? 'TLS_AUTO';
  const max = message?.tlsMaximumProtocolVersion ?? 'TLS_AUTO';
  const minVersion = min === 'TLS_AUTO' ? 0x0303 : versions[min];
  const maxVersion = max === 'TLS_AUTO' ? 0x0304 : versions[max];
  if (minVersion > maxVersion)
    scope.at('tls_minimum_protocol_version').error('is above the maximum: no version is left');
  return {
    minVersion,
    maxVersion,
    ciphers: compileSuites(message?.cipherSuites ?? [], scope),
    curves: compileGroups(message?.ecdhCurves ?? [], scope),
  };
}

function compileSuites(names: readonly string[], scope: ProblemScope): string {
  const known: string[] = [];
  for (const [i, entry] of names.entries()) {
    // `[A|B]`: of equal preference. The engine takes a list in order.
    for (const name of entry.replace(/^\[|\]$/g, '').split('|')) {
      if (suites.has(name)) known.push(name);
      else scope.at('cipher_suites', i).error(suiteProblem(name));
    }
  }
  return known.join(':');
}

function suiteProblem(name: string): string {
  return /^TLS_(AES|CHACHA20)/.test(name)
    ? `"${name}": the suites of TLS 1.3 cannot be chosen, all three are always offered`
    : `"${name}" is not a suite that this proxy has`;
}

function compileGroups(names: readonly string[], scope: ProblemScope): string {
  for (const [i, name] of names.entries())
    if (!groups.has(name)) scope.at('ecdh_curves', i).error(`"${name}" is not a group that this proxy has`);
  return names.filter((name) => groups.has(name)).join(':');
}
