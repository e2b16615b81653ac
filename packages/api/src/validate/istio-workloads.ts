/** ServiceEntry, WorkloadEntry and WorkloadGroup: resolution and endpoints that fit each other. */
import type { Path } from '../position.ts';
import type { ServiceEntry, WorkloadEntry, WorkloadGroup } from '../resource-types.ts';
import type { ServiceEntrySpec, WorkloadEntrySpec, WorkloadProbe } from '../schema/istio/workload.ts';
import type { Findings } from './findings.ts';
import { checkExportTo, checkSelectorNotEmpty } from './istio-common.ts';
import { checkLabels } from './metadata.ts';
import { addressFamily, addressProblem, hostnameProblem, hostProblem, labelNameProblem } from './names.ts';

const protocols = new Set([
  'HTTP',
  'HTTPS',
  'GRPC',
  'GRPC-WEB',
  'HTTP2',
  'MONGO',
  'TCP',
  'TLS',
  'HTTP_PROXY',
  'MYSQL',
  'REDIS',
  'UDP',
]);

export function checkServiceEntry(object: ServiceEntry, findings: Findings): void {
  const spec = object.spec;
  const path = ['spec'];
  findings.each(spec.hosts, [...path, 'hosts'], (host, at) => {
    const problem = hostProblem(host, { wildcard: true });
    if (problem !== undefined) findings.add('invalid-host', at, problem);
  });
  findings.each(spec.addresses, [...path, 'addresses'], (address, at) => {
    const problem = addressProblem(address);
    if (problem !== undefined) findings.add('invalid-value', at, problem);
  });
  checkPorts(spec, [...path, 'ports'], findings);
  checkExportTo(spec.exportTo, [...path, 'exportTo'], findings);
  if (spec.endpoints !== undefined && spec.workloadSelector !== undefined) {
    findings.add('conflicting-fields', path, 'may have only one of endpoints and workloadSelector', {
      part: 'key',
    });
  }
  checkSelectorNotEmpty(spec.workloadSelector?.labels, [...path, 'workloadSelector', 'labels'], findings);
  checkLabels(spec.workloadSelector?.labels, [...path, 'workloadSelector', 'labels'], findings);
  findings.check(spec, path, () => checkResolution(spec, path, findings));
  findings.each(spec.endpoints, [...path, 'endpoints'], (endpoint, at) => {
    checkEndpoint(endpoint, at, findings);
    checkEndpointPorts(spec, endpoint, at, findings);
  });
}

function checkPorts(spec: ServiceEntrySpec, path: Path, findings: Findings): void {
  if (spec.ports === undefined || spec.ports.length === 0) {
    findings.add('required', path, 'needs at least one port', { part: 'key' });
  }
  const names = new Set<string>();
  const numbers = new Set<number>();
  findings.each(spec.ports, path, (port, at) => {
    const problem = labelNameProblem(port.name);
    if (problem !== undefined) findings.add('invalid-name', [...at, 'name'], problem);
    if (names.has(port.name))
      findings.add('duplicate-name', [...at, 'name'], 'is the name of another port too');
    if (numbers.has(port.number))
      findings.add('duplicate-port', [...at, 'number'], 'is the number of another port too');
    names.add(port.name);
    numbers.add(port.number);
    checkProtocol(port.protocol, [...at, 'protocol'], findings);
  });
}

export function checkProtocol(protocol: string | undefined, path: Path, findings: Findings): void {
  if (protocol === undefined || protocols.has(protocol.toUpperCase())) return;
  findings.add('invalid-value', path, `${protocol.slice(0, 40)} is not a protocol`, {
    suggestion: 'use HTTP, HTTPS, GRPC, HTTP2, MONGO, TCP or TLS',
  });
}

function checkResolution(spec: ServiceEntrySpec, path: Path, findings: Findings): void {
  const resolution = spec.resolution ?? 'NONE';
  const endpoints = spec.endpoints ?? [];
  const at = [...path, 'resolution'];
  const hasWildcard = spec.hosts.some((host) => host.includes('*'));
  if (resolution === 'NONE' && endpoints.length > 0) {
    findings.add(
      'conflicting-fields',
      at,
      'NONE takes the original destination and has no use for endpoints',
      {
        suggestion: 'use STATIC or DNS',
      },
    );
  }
  if (resolution === 'STATIC' && endpoints.length === 0 && spec.workloadSelector === undefined) {
    findings.add('required', [...path, 'endpoints'], 'are required with resolution STATIC', { part: 'key' });
  }
  if (resolution === 'STATIC') {
    for (const [index, endpoint] of endpoints.entries()) {
      const address = endpoint.address ?? '';
      if (addressFamily(address) === 0 && !address.startsWith('unix://') && endpoint.network === undefined) {
        const message = 'must be an IP address or unix:// socket with resolution STATIC';
        findings.add('invalid-value', [...path, 'endpoints', index, 'address'], message, {
          suggestion: 'use DNS for names',
        });
      }
    }
  }
  if (resolution.startsWith('DNS')) {
    if (endpoints.length === 0 && spec.workloadSelector === undefined && hasWildcard) {
      findings.add('invalid-value', at, 'DNS needs endpoints where a host is a wildcard');
    }
    for (const [index, endpoint] of endpoints.entries()) {
      if (endpoint.address?.startsWith('unix://') === true) {
        findings.add(
          'invalid-value',
          [...path, 'endpoints', index, 'address'],
          'must not be a unix:// socket with DNS',
        );
      }
    }
  }
  if (resolution === 'DNS_ROUND_ROBIN' && endpoints.length > 1) {
    findings.add('invalid-value', [...path, 'endpoints'], 'may be only one with resolution DNS_ROUND_ROBIN', {
      part: 'key',
    });
  }
}

function checkEndpointPorts(
  spec: ServiceEntrySpec,
  endpoint: WorkloadEntrySpec,
  path: Path,
  findings: Findings,
): void {
  const names = new Set((spec.ports ?? []).map((port) => port.name));
  for (const name of Object.keys(endpoint.ports ?? {})) {
    if (!names.has(name))
      findings.add('invalid-value', [...path, 'ports', name], 'is not the name of a port above', {
        part: 'key',
      });
  }
}

export function checkEndpoint(endpoint: WorkloadEntrySpec, path: Path, findings: Findings): void {
  const address = endpoint.address;
  if (address === undefined || address === '') {
    if (endpoint.network === undefined) {
      findings.add('required', [...path, 'address'], 'is required without a network', { part: 'key' });
    }
  } else if (address.startsWith('unix://')) {
    const socket = address.slice('unix://'.length);
    if (!socket.startsWith('/') && !socket.startsWith('@')) {
      findings.add('invalid-value', [...path, 'address'], 'must be unix:// and an absolute path');
    }
    if (Object.keys(endpoint.ports ?? {}).length > 0) {
      findings.add('conflicting-fields', [...path, 'ports'], 'have no meaning for a unix:// socket', {
        part: 'key',
      });
    }
  } else if (addressFamily(address) === 0 && hostnameProblem(address) !== undefined) {
    findings.add('invalid-value', [...path, 'address'], 'must be an IP address, host name or unix:// socket');
  }
  checkLabels(endpoint.labels, [...path, 'labels'], findings);
  if (endpoint.locality !== undefined && !/^[^/]+(?:\/[^/]+(?:\/[^/]+)?)?$/.test(endpoint.locality)) {
    findings.add(
      'invalid-value',
      [...path, 'locality'],
      'must be region, region/zone or region/zone/subzone',
    );
  }
}

export function checkWorkloadEntry(object: WorkloadEntry, findings: Findings): void {
  findings.check(object.spec, ['spec'], (spec, path) => checkEndpoint(spec, path, findings));
}

export function checkWorkloadGroup(object: WorkloadGroup, findings: Findings): void {
  const { template, probe, metadata } = object.spec;
  checkLabels(metadata?.labels, ['spec', 'metadata', 'labels'], findings);
  findings.check(template, ['spec', 'template'], (template, at) => {
    checkLabels(template.labels, [...at, 'labels'], findings);
  });
  findings.check(probe, ['spec', 'probe'], (probe, at) => checkProbe(probe, at, findings));
}

function checkProbe(probe: WorkloadProbe, path: Path, findings: Findings): void {
  const ways = (['httpGet', 'tcpSocket', 'exec', 'grpc'] as const).filter((way) => probe[way] !== undefined);
  if (ways.length !== 1) {
    findings.add('conflicting-fields', path, 'needs exactly one of httpGet, tcpSocket, exec and grpc', {
      part: 'key',
    });
  }
  if (probe.exec !== undefined && probe.exec.command.length === 0) {
    findings.add('required', [...path, 'exec', 'command'], 'must not be empty');
  }
  const scheme = probe.httpGet?.scheme;
  if (scheme !== undefined && scheme !== '' && !/^https?$/i.test(scheme)) {
    findings.add('invalid-value', [...path, 'httpGet', 'scheme'], 'must be HTTP or HTTPS');
  }
}
