/** meshConfig as translation reads it. */
import type { MeshSettings as ConfiguredSettings } from '@sluice/api';
import { readRetry } from '../model/read-virtual-service.ts';
import type { MeshSettings } from './node.ts';

/** Istio's MeshConfig.dnsRefreshRate. */
const dnsRefreshMs = 60_000;

export function translationSettings(settings: ConfiguredSettings): MeshSettings {
  return {
    clusterDomain: settings.clusterDomain,
    rootNamespace: settings.rootNamespace,
    outboundPolicy: settings.outboundTrafficPolicy,
    connectTimeoutMs: settings.connectTimeoutMs,
    dnsRefreshMs,
    pathNormalization: settings.pathNormalization,
    accessLogFile: settings.accessLogFile,
    accessLogEncoding: settings.accessLogEncoding,
    accessLogFormat: settings.accessLogFormat ?? '',
    defaultRetry: readRetry(settings.defaultHttpRetryPolicy),
  };
}
