/** The certificates that live listeners and clusters use, their own and those of secrets: what /certs shows. */
import type { Cluster, CommonTlsContext, DataSource, Listener, Secret } from '@sluice/xds';
import type { CertificateFacts, ShownCertificate } from '../admin/certs-page.ts';
import { readCertificates, textOf } from './secret-judgement.ts';
import { tlsContextsOf } from './secret-references.ts';

/** Messages never change once decoded; pages and scrapes ask often. */
const parsed = new WeakMap<DataSource, readonly ShownCertificate[]>();

/**
 * `messages` have their files read in. Contexts that use the same certificates are told of once, so that a
 * thousand clusters of one mesh are one entry; secrets that no context uses come last.
 */
export function certificateContexts(
  messages: Iterable<Listener | Cluster>,
  secrets: readonly Secret[],
): CertificateFacts[] {
  const byName = new Map(secrets.map((secret) => [secret.name, secret]));
  const used = new Set<string>();
  const shown = new Map<string, CertificateFacts>();
  const seen = new Set<string>();
  for (const message of messages)
    for (const { context } of tlsContextsOf(message)) {
      const uses = usesOf(context);
      const key = hasOwn(context) ? null : uses.key;
      if (key !== null && seen.has(key)) continue;
      if (key !== null) seen.add(key);
      const facts = factsOf(context, uses, byName);
      for (const name of [...uses.certificates, ...uses.bundles]) used.add(name);
      shown.set(fingerprint(facts), facts);
    }
  for (const secret of secrets) {
    if (used.has(secret.name)) continue;
    const facts = { authorities: bundleOf(secret), chain: chainOf(secret) };
    shown.set(fingerprint(facts), facts);
  }
  return [...shown.values()].filter(({ authorities, chain }) => authorities.length + chain.length > 0);
}

interface Uses {
  /** Names of secrets. */
  readonly certificates: readonly string[];
  readonly bundles: readonly string[];
  readonly key: string;
}

function usesOf(context: CommonTlsContext): Uses {
  const certificates = context.tlsCertificateSdsSecretConfigs.map(({ name }) => name);
  const bundles = [
    context.validationContextSdsSecretConfig,
    context.combinedValidationContext?.validationContextSdsSecretConfig,
  ].flatMap((reference) => (reference === undefined ? [] : [reference.name]));
  return { certificates, bundles, key: `${certificates.join('\n')}\n\n${bundles.join('\n')}` };
}

function ownRoots(context: CommonTlsContext): DataSource | undefined {
  const own = context.validationContext ?? context.combinedValidationContext?.defaultValidationContext;
  return own?.trustedCa;
}

function hasOwn(context: CommonTlsContext): boolean {
  return context.tlsCertificates.length > 0 || ownRoots(context) !== undefined;
}

function factsOf(
  context: CommonTlsContext,
  uses: Uses,
  secrets: ReadonlyMap<string, Secret>,
): CertificateFacts {
  return {
    authorities: [
      ...shownOf(ownRoots(context), inline),
      ...uses.bundles.flatMap((name) => bundleOf(secrets.get(name))),
    ],
    chain: [
      ...context.tlsCertificates.flatMap(({ certificateChain }) => shownOf(certificateChain, inline)),
      ...uses.certificates.flatMap((name) => chainOf(secrets.get(name))),
    ],
  };
}

const inline = '<inline>';

function bundleOf(secret: Secret | undefined): readonly ShownCertificate[] {
  return shownOf(secret?.validationContext?.trustedCa, `<secret ${secret?.name ?? ''}>`);
}

function chainOf(secret: Secret | undefined): readonly ShownCertificate[] {
  return shownOf(secret?.tlsCertificate?.certificateChain, `<secret ${secret?.name ?? ''}>`);
}

function shownOf(source: DataSource | undefined, path: string): readonly ShownCertificate[] {
  if (source === undefined) return [];
  let shown = parsed.get(source);
  if (shown === undefined) {
    const certificates = readCertificates(textOf(source));
    shown =
      typeof certificates === 'string' ? [] : certificates.map((certificate) => ({ certificate, path }));
    parsed.set(source, shown);
  }
  return shown;
}

function fingerprint({ authorities, chain }: CertificateFacts): string {
  return [...authorities, ...chain].map(({ certificate }) => certificate.fingerprint256).join();
}
