/** DestinationRule: hosts, subsets and limits. */
import type { Path } from '../position.ts';
import type { DestinationRule } from '../resource-types.ts';
import type {
  ConnectionPoolSettings,
  PortTrafficPolicy,
  TrafficPolicy,
} from '../schema/istio/traffic-policy.ts';
import { checkLeastDuration } from './durations.ts';
import type { Findings } from './findings.ts';
import { checkClientTls } from './istio-client-tls.ts';
import { checkExportTo } from './istio-common.ts';
import { checkLabels } from './metadata.ts';
import { hostProblem } from './names.ts';

export function checkDestinationRule(object: DestinationRule, findings: Findings): void {
  const { host, subsets, trafficPolicy, exportTo, workloadSelector } = object.spec;
  const path = ['spec'];
  findings.check(host, [...path, 'host'], (host, at) => {
    const problem = hostProblem(host, { wildcard: true, all: true });
    if (problem !== undefined) findings.add('invalid-host', at, problem);
  });
  checkExportTo(exportTo, [...path, 'exportTo'], findings);
  checkLabels(workloadSelector?.matchLabels, [...path, 'workloadSelector', 'matchLabels'], findings);
  checkTrafficPolicy(trafficPolicy, [...path, 'trafficPolicy'], findings);
  const names = new Map<string, number>();
  findings.each(subsets, [...path, 'subsets'], (subset, at, index) => {
    const first = names.get(subset.name);
    if (first === undefined) names.set(subset.name, index);
    else findings.add('duplicate-name', [...at, 'name'], `is the name of subset ${first} too`);
    // The name becomes part of cluster names, whose parts are separated by |.
    if (!/^[A-Za-z0-9](?:[\w.-]{0,251}[A-Za-z0-9])?$/.test(subset.name)) {
      findings.add(
        'invalid-name',
        [...at, 'name'],
        'must be letters, digits, -, _ and ., and begin and end with a letter or digit',
      );
    }
    checkLabels(subset.labels, [...at, 'labels'], findings);
    checkTrafficPolicy(subset.trafficPolicy, [...at, 'trafficPolicy'], findings);
  });
}

function checkTrafficPolicy(policy: TrafficPolicy | undefined, path: Path, findings: Findings): void {
  findings.check(policy, path, (policy) => {
    checkLoadBalancer(policy, path, findings);
    checkClientTls(policy.tls, [...path, 'tls'], findings);
    checkConnectionPool(policy.connectionPool, [...path, 'connectionPool'], findings);
    const ports = new Set<number>();
    findings.each(policy.portLevelSettings, [...path, 'portLevelSettings'], (settings, at) => {
      const number = settings.port?.number;
      if (number === undefined)
        findings.add('required', [...at, 'port', 'number'], 'is required', { part: 'key' });
      else if (ports.has(number))
        findings.add('duplicate-port', [...at, 'port', 'number'], `has settings already`);
      else ports.add(number);
      checkLoadBalancer(settings, at, findings);
      checkClientTls(settings.tls, [...at, 'tls'], findings);
      checkConnectionPool(settings.connectionPool, [...at, 'connectionPool'], findings);
    });
    checkTunnel(policy, [...path, 'tunnel'], findings);
    if (policy.retryBudget !== undefined && policy.connectionPool?.http?.maxRetries !== undefined) {
      findings.add(
        'ineffective-field',
        [...path, 'connectionPool', 'http', 'maxRetries'],
        'has no effect beside retryBudget',
        {
          severity: 'warning',
          part: 'key',
        },
      );
    }
  });
}

function checkTunnel(policy: TrafficPolicy, path: Path, findings: Findings): void {
  findings.check(policy.tunnel, path, ({ protocol, targetHost, targetPort }) => {
    if (protocol !== undefined && protocol !== '' && protocol !== 'CONNECT' && protocol !== 'POST')
      findings.add('invalid-value', [...path, 'protocol'], 'must be CONNECT or POST');
    const problem = hostProblem(targetHost, { address: true });
    if (problem !== undefined) findings.add('invalid-host', [...path, 'targetHost'], problem);
    if (targetPort < 1 || targetPort > 65_535)
      findings.add('invalid-value', [...path, 'targetPort'], 'must be between 1 and 65535');
    if (policy.proxyProtocol !== undefined)
      findings.add('conflicting-fields', path, 'may not stand beside proxyProtocol');
  });
}

function checkLoadBalancer(policy: TrafficPolicy | PortTrafficPolicy, path: Path, findings: Findings): void {
  const settings = policy.loadBalancer;
  if (settings?.simple !== undefined && settings.consistentHash !== undefined) {
    findings.add(
      'conflicting-fields',
      [...path, 'loadBalancer'],
      'may have only one of simple and consistentHash',
    );
  }
  if (settings?.simple === 'LEAST_CONN') {
    findings.add('deprecated', [...path, 'loadBalancer', 'simple'], 'LEAST_CONN is deprecated', {
      severity: 'warning',
      suggestion: 'use LEAST_REQUEST',
    });
  }
}

export function checkConnectionPool(
  pool: ConnectionPoolSettings | undefined,
  path: Path,
  findings: Findings,
): void {
  const { tcp, http } = pool ?? {};
  for (const field of ['connectTimeout', 'maxConnectionDuration', 'idleTimeout'] as const) {
    checkLeastDuration(tcp?.[field], [...path, 'tcp', field], findings, {
      allowZero: field === 'idleTimeout',
    });
  }
  if (http?.useClientProtocol === true && http.h2UpgradePolicy === 'UPGRADE') {
    findings.add(
      'ineffective-field',
      [...path, 'http', 'h2UpgradePolicy'],
      'has no effect beside useClientProtocol: clients of HTTP/1 keep it',
      { severity: 'warning', part: 'key' },
    );
  }
  checkLeastDuration(http?.idleTimeout, [...path, 'http', 'idleTimeout'], findings, { allowZero: true });
  const keepalive = tcp?.tcpKeepalive;
  for (const field of ['time', 'interval'] as const) {
    checkLeastDuration(keepalive?.[field], [...path, 'tcp', 'tcpKeepalive', field], findings);
  }
  const limits = [
    [tcp?.maxConnections, [...path, 'tcp', 'maxConnections']],
    [http?.http1MaxPendingRequests, [...path, 'http', 'http1MaxPendingRequests']],
    [http?.http2MaxRequests, [...path, 'http', 'http2MaxRequests']],
    [http?.maxRequestsPerConnection, [...path, 'http', 'maxRequestsPerConnection']],
    [http?.maxRetries, [...path, 'http', 'maxRetries']],
    [http?.maxConcurrentStreams, [...path, 'http', 'maxConcurrentStreams']],
  ] as const;
  for (const [limit, at] of limits) {
    if (limit !== undefined && limit < 0) findings.add('invalid-value', at, 'must not be negative');
  }
}
