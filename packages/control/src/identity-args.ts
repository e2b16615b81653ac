/** The flags of `sluice control` about identity: the secure port, the authority, and who may ask. */
import { isIP } from 'node:net';
import { parseGoDurationMs } from '@sluice/runtime';
import type { IdentityOptions } from './authority/open-authority.ts';
import { defaultAuthoritySettings } from './authority/authority-settings.ts';

export const identityFlags = [
  '--secure-xds-address',
  '--secure-name',
  '--ca-dir',
  '--leaf-ttl',
  '--max-leaf-ttl',
  '--expired-renewal',
  '--root-overlap',
  '--jwt-issuer',
  '--jwt-audience',
  '--jwt-keys',
] as const;
export type IdentityFlag = (typeof identityFlags)[number];

export const repeatableIdentityFlags: readonly string[] = ['--secure-name'];

export const identityUsage = `  --secure-xds-address ADDR  xDS and signing over TLS (default 127.0.0.1:15012)
  --secure-name NAME      name or address under which it is reached; may be repeated
  --ca-dir DIR            an authority of your own: ca-cert.pem, ca-key.pem, root-cert.pem, cert-chain.pem
                          (default: the Secret cacerts of the root namespace, or one made at the first start)
  --leaf-ttl DURATION     life of workloads' certificates (default 24h)
  --max-leaf-ttl DURATION the longest that a workload may ask for (default 2160h)
  --expired-renewal DURATION  a certificate may ask for its renewal this long after its end (default 0)
  --root-overlap DURATION a new root signs at the latest this long after it is trusted (default 24h, at least 10s)
  --jwt-issuer ISSUER     take Kubernetes service-account tokens of this issuer
  --jwt-audience NAME     audience that they must name (default istio-ca)
  --jwt-keys FILE|URL     JSON Web Key Set that they are signed by
`;

export type ReadIdentityArgs =
  { readonly ok: true; readonly options: IdentityOptions } | { readonly ok: false; readonly message: string };

/** `xdsAddress`: where a free port is asked for, the secure port is any free one too. */
export function readIdentityArgs(
  given: ReadonlyMap<string, readonly string[]>,
  xdsAddress: string,
): ReadIdentityArgs {
  const one = (flag: IdentityFlag): string | undefined => given.get(flag)?.[0];
  const refuse = (message: string): ReadIdentityArgs => ({ ok: false, message });
  const lengths = new Map<IdentityFlag, number>();
  for (const flag of ['--leaf-ttl', '--max-leaf-ttl', '--expired-renewal', '--root-overlap'] as const) {
    const text = one(flag);
    if (text === undefined) continue;
    const ms = parseGoDurationMs(text);
    const isAllowed = ms !== undefined && (ms > 0 || (ms === 0 && flag === '--expired-renewal'));
    if (!isAllowed) return refuse(`${flag} ${text} is not a duration: write 24h, 90m or 30s`);
    lengths.set(flag, ms);
  }
  const leafTtlMs = lengths.get('--leaf-ttl') ?? defaultAuthoritySettings.leafTtlMs;
  const maxLeafTtlMs =
    lengths.get('--max-leaf-ttl') ?? Math.max(leafTtlMs, defaultAuthoritySettings.maxLeafTtlMs);
  if (maxLeafTtlMs < leafTtlMs) return refuse('--max-leaf-ttl is less than --leaf-ttl');
  const issuer = one('--jwt-issuer');
  const jwks = one('--jwt-keys');
  const audience = one('--jwt-audience');
  if ((issuer === undefined) !== (jwks === undefined))
    return refuse('--jwt-issuer and --jwt-keys go together');
  if (audience !== undefined && issuer === undefined)
    return refuse('--jwt-audience has a meaning only with --jwt-issuer');
  const names = given.get('--secure-name') ?? [];
  return {
    ok: true,
    options: {
      secureAddress:
        one('--secure-xds-address') ?? (xdsAddress.endsWith(':0') ? '127.0.0.1:0' : '127.0.0.1:15012'),
      names: {
        dnsSans: names.filter((name) => isIP(name) === 0),
        ipSans: names.filter((name) => isIP(name) !== 0),
      },
      authorityDir: one('--ca-dir'),
      settings: {
        ...defaultAuthoritySettings,
        leafTtlMs,
        maxLeafTtlMs,
        expiredRenewalMs: lengths.get('--expired-renewal') ?? defaultAuthoritySettings.expiredRenewalMs,
        overlapMs: lengths.get('--root-overlap') ?? defaultAuthoritySettings.overlapMs,
      },
      serviceAccounts:
        issuer === undefined || jwks === undefined
          ? undefined
          : { issuer, jwks, audience: audience ?? 'istio-ca' },
    },
  };
}
