/** The identity agent put together: files, the authority's address, and what its answers become for the proxy. */
import { readFileSync } from 'node:fs';
import type { Logger, MetricsRegistry, Random, TimerWheel } from '@sluice/runtime';
import type { GrpcStreamTransport } from '@sluice/wire';
import { createMessage, SecretTable, type JsonObject, type Secret } from '@sluice/xds';
import type { TlsClientContext, TlsFailure } from '../io/tls-context.ts';
import { IdentityAgent, type SigningCall, type SigningOutcome } from './agent.ts';
import type { Credential } from './credential.ts';
import { IdentityDir } from './identity-dir.ts';
import { createIdentityMetrics } from './identity-metrics.ts';
import type { IdentityOptions } from './identity-options.ts';
import { explainRefusal, requestCertificate } from './signing-client.ts';
import { SigningTls } from './signing-tls.ts';
import { readTokenFile } from './token-file.ts';

/** SDS names, Istio's. */
export const workloadSecret = 'default';
export const trustBundleSecret = 'ROOTCA';

/** A gRPC client connection whose credential may be replaced. */
export interface ClientTransport extends GrpcStreamTransport {
  close(): void;
  /** The next stream gets a new connection; the old one ends with its streams. */
  retire(): void;
}

export interface IdentityWiring {
  readonly options: IdentityOptions;
  readonly timers: TimerWheel;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  readonly nodeMetadata: JsonObject;
  readonly transport: (target: string, timers: TimerWheel, tls: TlsClientContext | null) => ClientTransport;
  /** Already judged by the agent; the loops get it at once. */
  onSecret(secret: Secret, version: string): void;
}

/** Throws when the identity directory cannot be had. */
export function createIdentityAgent(wiring: IdentityWiring): IdentityAgent {
  const { options, timers, random, logger, metrics, nodeMetadata } = wiring;
  return new IdentityAgent({
    options,
    timers,
    random,
    logger,
    metrics: createIdentityMetrics(metrics),
    store: options.dir === null ? null : openDir(options.dir),
    metadata: nodeMetadata,
    readToken: () => (options.tokenFile === null ? null : readTokenFile(options.tokenFile)),
    readRoots: () => (options.rootFile === null ? null : readFileSync(options.rootFile, 'utf8')),
    sign: (call) => sign(wiring, call),
    onCredential(credential) {
      wiring.onSecret(certificateSecret(credential), credential.leaf.serial);
    },
    onRoots: (rootsPem, crlPem) => wiring.onSecret(bundleSecret(rootsPem, crlPem), ''),
  });
}

function openDir(path: string): IdentityDir {
  try {
    return new IdentityDir(path);
  } catch (error) {
    throw new Error(`--identity-dir ${path}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}

async function sign(wiring: IdentityWiring, call: SigningCall): Promise<SigningOutcome> {
  const { options, timers, transport } = wiring;
  const { host, port } = options.authority;
  let failure: TlsFailure | null = null;
  const tls = new SigningTls({
    host,
    trust: call.trust,
    credential: call.credential,
    wallMs: () => timers.clock.wallMs(),
    onFailure: (what) => {
      failure = what;
    },
  });
  const target = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  const connection = transport(target, timers, tls);
  const said = await requestCertificate(connection, timers, call.request);
  connection.close();
  const answer = said.kind === 'refused' ? { ...said, message: explainRefusal(said.message, target) } : said;
  return { answer, pinnedRootPem: tls.pinnedRootPem, isUntrusted: isOfTrust(failure) };
}

function isOfTrust(failure: TlsFailure | null): boolean {
  return failure !== null && failure.kind !== 'closed' && failure.kind !== 'timeout';
}

function certificateSecret({ shownPem, keyPem }: Credential): Secret {
  return createMessage(SecretTable, {
    name: workloadSecret,
    tlsCertificate: { certificateChain: { inlineString: shownPem }, privateKey: { inlineString: keyPem } },
  });
}

/** As the control plane has it: authorities' own certificates are in no list. */
function bundleSecret(rootsPem: string, crlPem: string): Secret {
  const lists = crlPem === '' ? {} : { crl: { inlineString: crlPem }, onlyVerifyLeafCertCrl: true };
  return createMessage(SecretTable, {
    name: trustBundleSecret,
    validationContext: { trustedCa: { inlineString: rootsPem }, ...lists },
  });
}
