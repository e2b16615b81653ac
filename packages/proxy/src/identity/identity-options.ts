/** The command line's part about the workload's identity, read and checked. */
import { isIP } from 'node:net';
import { isProblem, keyKinds, parseKeyKind, parseSpiffeId, type KeyKind } from '@sluice/identity';

export interface IdentityOptions {
  readonly authority: { readonly host: string; readonly port: number };
  /** A join token or a JWT, read again for each use: Kubernetes replaces it; null = only a certificate speaks. */
  readonly tokenFile: string | null;
  /** Roots that the first contact is verified by, where the token pins none. */
  readonly rootFile: string | null;
  readonly dir: string | null;
  /** Empty: whatever the authority says. */
  readonly spiffeId: string;
  readonly keyKind: KeyKind;
  /** An expired certificate may still ask for its successor this long; 0 = never. */
  readonly allowExpiredRenewalMs: number;
}

export const identityFlags = [
  'ca-address',
  'ca-root-file',
  'identity-token-file',
  'identity-dir',
  'spiffe-id',
  'identity-key',
  'allow-expired-renewal-s',
] as const;

export const identityUsage = `      --ca-address HOST:PORT    the workload's certificate comes from this signing service
      --identity-token-file FILE  join token or Kubernetes JWT, read for each use
      --ca-root-file FILE       roots that the first contact is verified by, if the token pins none
      --identity-dir DIR        where key, certificate and trust bundle survive a restart (0700)
      --spiffe-id ID            the certificate must name this identity
      --identity-key KIND       ${keyKinds.join(' | ')} (default ${keyKinds[0]})
      --allow-expired-renewal-s N  renew with a certificate that expired up to N seconds ago (default 0)
`;

/** Null when there is no agent. `problems` get a line for each mistake. */
export function readIdentityOptions(
  values: ReadonlyMap<string, string>,
  problems: string[],
): IdentityOptions | null {
  const address = values.get('ca-address');
  if (address === undefined) {
    for (const flag of identityFlags)
      if (values.has(flag)) problems.push(`--${flag} has a meaning only with --ca-address`);
    return null;
  }
  const tokenFile = values.get('identity-token-file') ?? null;
  const dir = values.get('identity-dir') ?? null;
  if (tokenFile === null && dir === null)
    problems.push('--ca-address needs --identity-token-file, or --identity-dir with a certificate in it');
  return {
    authority: readAuthority(address, problems),
    tokenFile,
    rootFile: values.get('ca-root-file') ?? null,
    dir,
    spiffeId: readSpiffeId(values.get('spiffe-id') ?? '', problems),
    keyKind: readKeyKind(values.get('identity-key') ?? keyKinds[0], problems),
    allowExpiredRenewalMs: readSeconds(values.get('allow-expired-renewal-s') ?? '0', problems) * 1_000,
  };
}

function readAuthority(text: string, problems: string[]): IdentityOptions['authority'] {
  const [, host = '', digits = ''] = /^(\[[\da-fA-F:.]+\]|[^:\s[\]/]+):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  const plainHost = host.replace(/^\[|\]$/g, '');
  const isAddress = host.startsWith('[') ? isIP(plainHost) === 6 : host !== '';
  if (!isAddress || port < 1 || port > 65_535) problems.push(`--ca-address must be host:port, not "${text}"`);
  return { host: plainHost, port };
}

function readSpiffeId(text: string, problems: string[]): string {
  const id = text === '' ? null : parseSpiffeId(text);
  if (isProblem(id)) problems.push(`--spiffe-id: ${id.message}`);
  return text;
}

function readKeyKind(text: string, problems: string[]): KeyKind {
  const kind = parseKeyKind(text);
  if (kind === null) problems.push(`--identity-key must be one of ${keyKinds.join(', ')}, not "${text}"`);
  return kind ?? keyKinds[0];
}

function readSeconds(text: string, problems: string[]): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  problems.push(`--allow-expired-renewal-s must be a whole number, not "${text}"`);
  return 0;
}
