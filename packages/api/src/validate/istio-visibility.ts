/** Sidecar and Istio's Gateway: which hosts a workload sees, which servers a gateway runs. */
import type { Path } from '../position.ts';
import type { IstioGateway, Sidecar } from '../resource-types.ts';
import type { Findings } from './findings.ts';
import { checkSelectorNotEmpty } from './istio-common.ts';
import { checkProtocol } from './istio-workloads.ts';
import { checkLabels } from './metadata.ts';
import { hostProblem, labelNameProblem } from './names.ts';

export function checkSidecar(object: Sidecar, findings: Findings): void {
  const spec = object.spec;
  const path = ['spec'];
  findings.check(spec, path, () => {
    const hasContent = ['egress', 'ingress', 'outboundTrafficPolicy', 'inboundConnectionPool'].some(
      (field) => field in spec,
    );
    if (!hasContent)
      findings.add('required', path, 'needs egress, ingress or outboundTrafficPolicy', { part: 'key' });
  });
  const labels = spec.workloadSelector?.labels;
  checkSelectorNotEmpty(labels, [...path, 'workloadSelector', 'labels'], findings);
  checkLabels(labels, [...path, 'workloadSelector', 'labels'], findings);
  findings.each(spec.egress, [...path, 'egress'], (egress, at) => {
    findings.each(egress.hosts, [...at, 'hosts'], (host, at) => checkEgressHost(host, at, findings));
  });
}

/** `namespace/host`, where the namespace may be `.`, `*`, `~` (none), or excluded as `~namespace`. */
function checkEgressHost(entry: string, path: Path, findings: Findings): void {
  const slash = entry.indexOf('/');
  if (slash <= 0 || slash === entry.length - 1) {
    const suggestion = slash < 0 ? { suggestion: `write */${entry} or ./${entry}` } : {};
    findings.add('invalid-host', path, 'must be namespace/host', suggestion);
    return;
  }
  const namespace = entry.slice(0, slash);
  if (!['.', '*', '~'].includes(namespace)) {
    const problem = labelNameProblem(namespace.startsWith('~') ? namespace.slice(1) : namespace);
    if (problem !== undefined)
      findings.add('invalid-host', path, `must begin with ., *, ~ or a namespace: ${problem}`);
  }
  const host = entry.slice(slash + 1);
  if (host === '*') return;
  if (!host.includes('.')) {
    findings.add('invalid-host', path, 'must have a full host name after the namespace', {
      suggestion: `write ${namespace}/${host}.${namespace === '.' || namespace === '*' ? '<namespace>' : namespace}.svc.cluster.local`,
    });
    return;
  }
  const problem = hostProblem(host, { wildcard: true });
  if (problem !== undefined) findings.add('invalid-host', path, problem);
}

export function checkIstioGateway(object: IstioGateway, findings: Findings): void {
  const { servers, selector } = object.spec;
  const path = ['spec'];
  if (servers === undefined || servers.length === 0) {
    findings.add('required', [...path, 'servers'], 'needs at least one server', { part: 'key' });
  }
  checkLabels(selector, [...path, 'selector'], findings);
  const names = new Set<string>();
  const portNames = new Map<string, number>();
  findings.each(servers, [...path, 'servers'], (server, at) => {
    checkProtocol(server.port.protocol, [...at, 'port', 'protocol'], findings);
    if (server.name !== undefined && names.has(server.name)) {
      findings.add('duplicate-name', [...at, 'name'], 'is the name of another server too');
    }
    if (server.name !== undefined) names.add(server.name);
    const known = portNames.get(server.port.name);
    if (known !== undefined && known !== server.port.number) {
      findings.add('duplicate-name', [...at, 'port', 'name'], `is the name of port ${known} too`);
    }
    portNames.set(server.port.name, server.port.number);
    findings.each(server.hosts, [...at, 'hosts'], (host, at) => checkServerHost(host, at, findings));
  });
}

function checkServerHost(entry: string, path: Path, findings: Findings): void {
  const slash = entry.indexOf('/');
  const namespace = slash < 0 ? '*' : entry.slice(0, slash);
  if (namespace !== '.' && namespace !== '*') {
    const problem = labelNameProblem(namespace);
    if (problem !== undefined)
      findings.add('invalid-host', path, `must begin with ., * or a namespace: ${problem}`);
  }
  const problem = hostProblem(entry.slice(slash + 1), { wildcard: true, all: true, address: true });
  if (problem !== undefined) findings.add('invalid-host', path, problem);
}
