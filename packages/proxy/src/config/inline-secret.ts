/** TLS material with every DataSource made inline: secrets, and the contexts that listeners and clusters carry. */
import {
  type CertificateValidationContext,
  type Cluster,
  type CommonTlsContext,
  type DataSource,
  type Listener,
  type Secret,
  type TlsCertificate,
} from '@sluice/xds';
import type { SourceReader } from './data-sources.ts';
import type { ProblemScope } from './problems.ts';
import { tlsContextsOf } from './secret-references.ts';

export function inlineSecret(secret: Secret, reader: SourceReader, scope: ProblemScope): Secret {
  const { tlsCertificate, validationContext } = secret;
  return {
    ...secret,
    ...(tlsCertificate === undefined
      ? {}
      : { tlsCertificate: inlineCertificate(tlsCertificate, reader, scope.at('tls_certificate')) }),
    ...(validationContext === undefined
      ? {}
      : { validationContext: inlineValidation(validationContext, reader, scope.at('validation_context')) }),
  };
}

/** The message itself where nothing in it has to be read from elsewhere. */
export function inlineContexts<T extends Listener | Cluster>(
  message: T,
  reader: SourceReader,
  scope: ProblemScope,
): T {
  const replaced = new Map<unknown, CommonTlsContext>();
  for (const { context, path } of tlsContextsOf(message)) {
    if (!needsReading(context)) continue;
    replaced.set(context, inlineContext(context, reader, scope.at(path)));
  }
  return replaced.size === 0 ? message : (replace(message, replaced) as T);
}

function inlineContext(
  context: CommonTlsContext,
  reader: SourceReader,
  scope: ProblemScope,
): CommonTlsContext {
  const { tlsCertificates, validationContext, combinedValidationContext: combined } = context;
  const fallback = combined?.defaultValidationContext;
  return {
    ...context,
    tlsCertificates: tlsCertificates.map((certificate, i) =>
      inlineCertificate(certificate, reader, scope.at('tls_certificates', i)),
    ),
    ...(validationContext === undefined
      ? {}
      : { validationContext: inlineValidation(validationContext, reader, scope.at('validation_context')) }),
    ...(combined === undefined || fallback === undefined
      ? {}
      : {
          combinedValidationContext: {
            ...combined,
            defaultValidationContext: inlineValidation(
              fallback,
              reader,
              scope.at('combined_validation_context').at('default_validation_context'),
            ),
          },
        }),
  };
}

function inlineCertificate(
  certificate: TlsCertificate,
  reader: SourceReader,
  scope: ProblemScope,
): TlsCertificate {
  return {
    ...certificate,
    ...inlineField('certificateChain', certificate.certificateChain, reader, scope.at('certificate_chain')),
    ...inlineField('privateKey', certificate.privateKey, reader, scope.at('private_key')),
  };
}

function inlineValidation(
  context: CertificateValidationContext,
  reader: SourceReader,
  scope: ProblemScope,
): CertificateValidationContext {
  return {
    ...context,
    ...inlineField('trustedCa', context.trustedCa, reader, scope.at('trusted_ca')),
    ...inlineField('crl', context.crl, reader, scope.at('crl')),
  };
}

function inlineField<Name extends string>(
  name: Name,
  source: DataSource | undefined,
  reader: SourceReader,
  scope: ProblemScope,
): { readonly [key in Name]?: DataSource } {
  const read = source === undefined ? undefined : reader.read(source, scope);
  return read === undefined ? {} : ({ [name]: read } as { readonly [key in Name]?: DataSource });
}

function needsReading(context: CommonTlsContext): boolean {
  const { tlsCertificates, validationContext, combinedValidationContext } = context;
  const sources = [
    ...tlsCertificates.flatMap(({ certificateChain, privateKey }) => [certificateChain, privateKey]),
    ...[validationContext, combinedValidationContext?.defaultValidationContext].flatMap((one) => [
      one?.trustedCa,
      one?.crl,
    ]),
  ];
  return sources.some(
    (source) => source?.filename !== undefined || source?.environmentVariable !== undefined,
  );
}

/** A copy along the way to what is replaced; everything else is shared. */
function replace(value: unknown, replaced: ReadonlyMap<unknown, unknown>): unknown {
  const found = replaced.get(value);
  if (found !== undefined) return found;
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
  if (Array.isArray(value)) {
    const items = value.map((item: unknown) => replace(item, replaced));
    return items.some((item, i) => item !== value[i]) ? items : value;
  }
  const entries = Object.entries(value).map(([key, item]) => [key, replace(item, replaced)] as const);
  const isChanged = entries.some(([key, item]) => item !== (value as Record<string, unknown>)[key]);
  return isChanged ? Object.fromEntries(entries) : value;
}
