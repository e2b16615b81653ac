/**
 * Everything a proxy has of certificates on its main thread, put together: secrets of all sources, the identity
 * agent among them, the files they come from, and the alarms before they end.
 */
import type { Logger, MetricsRegistry } from '@sluice/runtime';
import { systemRandom } from '@sluice/runtime';
import type { JsonObject, Secret } from '@sluice/xds';
import { CertificateAlarms } from '../config/certificate-alarms.ts';
import { SecretActivation, type SecretActivationDeps } from '../config/secret-activation.ts';
import { textOf } from '../config/secret-judgement.ts';
import { WatchedFiles } from '../config/watched-files.ts';
import type { IdentityAgent } from './agent.ts';
import type { IdentityOptions } from './identity-options.ts';
import {
  createIdentityAgent,
  trustBundleSecret,
  workloadSecret,
  type IdentityWiring,
} from './start-identity.ts';

export interface WorkloadSecretsDeps extends Omit<
  SecretActivationDeps,
  'files' | 'arrived' | 'removed' | 'absent' | 'refused'
> {
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  readonly identity: IdentityOptions | null;
  readonly nodeMetadata: JsonObject;
  readonly transport: IdentityWiring['transport'];
  /** What waits for a secret may go on. */
  arrived(secret: Secret): void;
  /** Nor is anything worth waiting for. */
  absent(): void;
}

export class WorkloadSecrets {
  readonly activation: SecretActivation;
  /** Null without `--ca-address`. */
  readonly agent: IdentityAgent | null;
  readonly #alarms: CertificateAlarms;
  readonly #deps: WorkloadSecretsDeps;

  constructor(deps: WorkloadSecretsDeps) {
    const { logger, metrics, timers } = deps;
    this.#deps = deps;
    this.#alarms = new CertificateAlarms(timers, logger.child('identity'), metrics, (name) =>
      this.activation.announceExpiry(name),
    );
    this.activation = new SecretActivation({
      ...deps,
      files: new WatchedFiles(timers),
      arrived: (name, secret) => this.#arrived(name, secret),
      removed: (name) => this.#alarms.remove(name),
      absent: (name) => {
        logger.warning(
          'the control plane has no such secret; what names it refuses connections until it has',
          {
            name,
          },
        );
        deps.absent();
      },
      refused: (name, problem) =>
        logger.error('a secret was refused; the last good one stays', { name, problem }),
    });
    this.agent = deps.identity === null ? null : this.#createAgent(deps.identity);
  }

  /** Why the proxy is not ready, in words; empty when certificates do not keep it. */
  get missing(): string {
    if (this.agent === null || this.activation.has(workloadSecret)) return '';
    return 'the workload has no certificate yet; the log says why';
  }

  #arrived(name: string, secret: Secret): void {
    this.#alarms.put(secret);
    if (name === trustBundleSecret && this.activation.sourceOf(name) === 'ads') {
      const { trustedCa, crl } = secret.validationContext ?? {};
      this.agent?.takeBundle(textOf(trustedCa), textOf(crl));
    }
    this.#deps.arrived(secret);
  }

  #createAgent(options: IdentityOptions): IdentityAgent {
    const { logger, metrics, timers, nodeMetadata, transport } = this.#deps;
    this.activation.reserve(workloadSecret, trustBundleSecret);
    return createIdentityAgent({
      options,
      timers,
      random: systemRandom,
      logger: logger.child('identity'),
      metrics,
      nodeMetadata,
      transport,
      onSecret: (secret, version) => {
        const problem = this.activation.put(secret, version, null, 'agent');
        if (problem !== null) logger.error('the workload certificate was refused', { problem });
      },
    });
  }
}
