/** Service, Endpoints, EndpointSlice and Pod. */
import type { Path } from '../position.ts';
import type { Endpoints, EndpointSlice, Pod, Service } from '../resource-types.ts';
import type { ServiceSpec } from '../schema/core/service.ts';
import type { Findings } from './findings.ts';
import { checkLabels } from './metadata.ts';
import { addressFamily, hostnameProblem, labelNameProblem } from './names.ts';

export function checkService(object: Service, findings: Findings): void {
  const spec = object.spec;
  const path = ['spec'];
  checkLabels(spec.selector, [...path, 'selector'], findings);
  if (spec.type === 'ExternalName') {
    findings.check(spec.externalName ?? '', [...path, 'externalName'], (name, at) => {
      const problem = name === '' ? 'is required with type ExternalName' : hostnameProblem(name);
      if (problem !== undefined) findings.add('invalid-host', at, problem);
    });
  } else if ((spec.ports ?? []).length === 0 && spec.clusterIP !== 'None') {
    findings.add('required', [...path, 'ports'], 'needs at least one port', { part: 'key' });
  }
  findings.check(spec.clusterIP, [...path, 'clusterIP'], (address, at) =>
    checkClusterIp(address, at, findings),
  );
  findings.each(spec.clusterIPs, [...path, 'clusterIPs'], (address, at) =>
    checkClusterIp(address, at, findings),
  );
  checkPorts(spec, [...path, 'ports'], findings);
}

function checkClusterIp(address: string, path: Path, findings: Findings): void {
  if (address === '' || address === 'None' || addressFamily(address) !== 0) return;
  findings.add('invalid-value', path, 'must be an IP address or None');
}

function checkPorts(spec: ServiceSpec, path: Path, findings: Findings): void {
  const names = new Set<string>();
  const places = new Set<string>();
  const hasSeveral = (spec.ports ?? []).length > 1;
  findings.each(spec.ports, path, (port, at) => {
    const name = port.name ?? '';
    if (name === '' && hasSeveral) {
      findings.add('required', [...at, 'name'], 'is required where a service has several ports', {
        part: 'key',
      });
    } else if (name !== '') {
      const problem = labelNameProblem(name);
      if (problem !== undefined) findings.add('invalid-name', [...at, 'name'], problem);
      if (names.has(name)) findings.add('duplicate-name', [...at, 'name'], 'is the name of another port too');
      names.add(name);
    }
    const protocol = port.protocol ?? 'TCP';
    const place = `${port.port}/${protocol}`;
    if (places.has(place))
      findings.add('duplicate-port', [...at, 'port'], 'is the number of another port too');
    places.add(place);
    if (protocol !== 'TCP') {
      findings.add('not-proxied', [...at, 'protocol'], `${protocol} does not pass through the mesh`, {
        severity: 'notice',
      });
    }
    checkTargetPort(port.targetPort, [...at, 'targetPort'], findings);
  });
}

function checkTargetPort(target: string | number | undefined, path: Path, findings: Findings): void {
  if (typeof target === 'number' && (target < 1 || target > 65_535)) {
    findings.add('invalid-value', path, 'must be a port number from 1 to 65535, or a port name');
  }
  // An IANA service name: at least one letter, so that it cannot be taken for a number.
  if (typeof target === 'string' && !/^(?=.*[a-z])[a-z0-9](?:[a-z0-9-]{0,13}[a-z0-9])?$/.test(target)) {
    findings.add('invalid-value', path, 'must be a port name of at most 15 lower-case letters, digits and -');
  }
}

export function checkEndpoints(object: Endpoints, findings: Findings): void {
  findings.each(object.subsets, ['subsets'], (subset, path) => {
    for (const field of ['addresses', 'notReadyAddresses'] as const) {
      findings.each(subset[field], [...path, field], (address, at) => {
        if (addressFamily(address.ip) === 0)
          findings.add('invalid-value', [...at, 'ip'], 'must be an IP address');
      });
    }
    if ((subset.ports ?? []).length > 1) {
      findings.each(subset.ports, [...path, 'ports'], (port, at) => {
        if (!port.name)
          findings.add('required', [...at, 'name'], 'is required where there are several ports', {
            part: 'key',
          });
      });
    }
  });
}

export function checkEndpointSlice(object: EndpointSlice, findings: Findings): void {
  const families: Readonly<Record<string, number>> = { IPv4: 4, IPv6: 6 };
  const family = families[object.addressType];
  findings.each(object.endpoints, ['endpoints'], (endpoint, path) => {
    for (const [index, address] of endpoint.addresses.entries()) {
      const at = [...path, 'addresses', index];
      if (family !== undefined && addressFamily(address) !== family) {
        findings.add('invalid-value', at, `must be an address of type ${object.addressType}`);
      } else if (family === undefined && hostnameProblem(address) !== undefined) {
        findings.add('invalid-value', at, 'must be a host name');
      }
    }
  });
  if (object.metadata.labels?.['kubernetes.io/service-name'] === undefined) {
    findings.add(
      'ineffective-field',
      ['metadata', 'labels'],
      'do not name the service in kubernetes.io/service-name, so that no service uses the endpoints',
      {
        severity: 'warning',
        part: 'key',
      },
    );
  }
}

export function checkPod(object: Pod, findings: Findings): void {
  const names = new Set<string>();
  findings.each(object.spec.containers, ['spec', 'containers'], (container, path) => {
    if (names.has(container.name))
      findings.add('duplicate-name', [...path, 'name'], 'is the name of another container too');
    names.add(container.name);
  });
  const address = object.status?.podIP;
  if (typeof address === 'string' && address !== '' && addressFamily(address) === 0) {
    findings.add('invalid-value', ['status', 'podIP'], 'must be an IP address');
  }
}
