/** The certificates that live listeners and clusters use, their own and those of secrets: what /certs shows. */
import type { Cluster, CommonTlsContext, DataSource, Listener, Secret } from '@sluice/xds';
import type { CertificateFacts, ShownCertificate } from '../admin/certs-page.ts';
import { readCertificates, textOf } from './secret-judgement.ts';
import { tlsContextsOf } from './secret-references.ts';

/** Parsed once for each text: pages and scrapes ask often. */
const parsed = new Map<string, readonly ShownCertificate[]>();
/** Texts of replaced certificates are forgotten when there are more than this. */
const maxParsed = 256;

/** `messages` have their files read in; `secret` finds by SDS name. Unused secrets come after the contexts. */
export function certificateContexts(
  messages: Iterable<Listener | Cluster>,
  secrets: readonly Secret[],
): CertificateFacts[] {
  const byName = new Map(secrets.map((secret) => [secret.name, secret]));
  const used = new Set<string>();
  const shown = new Map<string, CertificateFacts>();
  for (const message of messages)
    for (const { context } of tlsContextsOf(message)) {
      const facts = factsOf(context, byName, used);
      shown.set(keyOf(facts), facts);
    }
  for (const { name, tlsCertificate, validationContext } of secrets) {
    if (used.has(name)) continue;
    const facts = {
      authorities: shownOf(validationContext?.trustedCa, name),
      chain: shownOf(tlsCertificate?.certificateChain, name),
    };
    shown.set(keyOf(facts), facts);
  }
  return [...shown.values()].filter(({ authorities, chain }) => authorities.length + chain.length > 0);
}

function factsOf(
  context: CommonTlsContext,
  secrets: ReadonlyMap<string, Secret>,
  used: Set<string>,
): CertificateFacts {
  const chain = context.tlsCertificates.flatMap(({ certificateChain }) => shownOf(certificateChain, ''));
  for (const { name } of context.tlsCertificateSdsSecretConfigs) {
    used.add(name);
    chain.push(...shownOf(secrets.get(name)?.tlsCertificate?.certificateChain, name));
  }
  const combined = context.combinedValidationContext;
  const own = context.validationContext ?? combined?.defaultValidationContext;
  const authorities = [...shownOf(own?.trustedCa, '')];
  for (const reference of [
    context.validationContextSdsSecretConfig,
    combined?.validationContextSdsSecretConfig,
  ]) {
    if (reference === undefined) continue;
    used.add(reference.name);
    const trusted = secrets.get(reference.name)?.validationContext?.trustedCa;
    authorities.push(...shownOf(trusted, reference.name));
  }
  return { authorities, chain };
}

function shownOf(source: DataSource | undefined, secretName: string): readonly ShownCertificate[] {
  const text = textOf(source);
  if (text === '') return [];
  const key = `${secretName}\n${text}`;
  const known = parsed.get(key);
  if (known !== undefined) return known;
  const certificates = readCertificates(text);
  const path = secretName === '' ? '<inline>' : `<secret ${secretName}>`;
  const shown =
    typeof certificates === 'string' ? [] : certificates.map((certificate) => ({ certificate, path }));
  if (parsed.size >= maxParsed) parsed.clear();
  parsed.set(key, shown);
  return shown;
}

function keyOf({ authorities, chain }: CertificateFacts): string {
  return [...authorities, ...chain].map(({ certificate }) => certificate.fingerprint256).join();
}
