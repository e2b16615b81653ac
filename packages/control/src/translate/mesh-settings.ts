/** meshConfig as translation reads it. */
import type { MeshSettings as ConfiguredSettings } from '@sluice/api';
import type { JsonObject } from '@sluice/xds';
import { readRetry } from '../model/read-virtual-service.ts';
import type { MeshSettings } from './node.ts';

/** Istio's MeshConfig.dnsRefreshRate. */
const dnsRefreshMs = 60_000;

export interface ReadSettings {
  readonly settings: MeshSettings;
  /** What could not be used and has its default instead. */
  readonly problems: readonly string[];
}

export function translationSettings(configured: ConfiguredSettings): ReadSettings {
  const problems: string[] = [];
  const format = configured.accessLogFormat ?? '';
  const isJson = configured.accessLogEncoding === 'JSON';
  const accessLogJson = isJson && format !== '' ? readJsonObject(format) : null;
  if (isJson && format !== '' && accessLogJson === null)
    problems.push('meshConfig.accessLogFormat: must be a JSON object where accessLogEncoding is JSON');
  const settings: MeshSettings = {
    trustDomain: configured.trustDomain,
    trustDomainAliases: configured.trustDomainAliases,
    autoMtls: configured.autoMtls,
    meshTls: configured.meshTls,
    tlsDefaults: configured.tlsDefaults,
    detectionTimeoutMs: configured.protocolDetectionTimeoutMs,
    clusterDomain: configured.clusterDomain,
    rootNamespace: configured.rootNamespace,
    outboundPolicy: configured.outboundTrafficPolicy,
    connectTimeoutMs: configured.connectTimeoutMs,
    dnsRefreshMs,
    pathNormalization: configured.pathNormalization,
    accessLogFile: configured.accessLogFile,
    accessLogEncoding: configured.accessLogEncoding,
    accessLogFormat: isJson ? '' : format,
    accessLogJson,
    defaultRetry: readRetry(configured.defaultHttpRetryPolicy),
  };
  return { settings, problems };
}

function readJsonObject(text: string): JsonObject | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as JsonObject)
      : null;
  } catch {
    return null;
  }
}
