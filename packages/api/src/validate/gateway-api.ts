/** Gateway, GatewayClass and ReferenceGrant of the Gateway API. */
import type { GatewayClass, GatewayObject } from '../resource-types.ts';
import type { Findings } from './findings.ts';
import { hostProblem, subdomainProblem } from './names.ts';

export function checkGateway(object: GatewayObject, findings: Findings): void {
  const { listeners } = object.spec;
  const path = ['spec', 'listeners'];
  if (listeners === undefined || listeners.length === 0) {
    findings.add('required', path, 'needs at least one listener', { part: 'key' });
  }
  const names = new Set<string>();
  const places = new Set<string>();
  findings.each(listeners, path, (listener, at) => {
    const problem = subdomainProblem(listener.name);
    if (problem !== undefined) findings.add('invalid-name', [...at, 'name'], problem);
    if (names.has(listener.name))
      findings.add('duplicate-name', [...at, 'name'], 'is the name of another listener too');
    names.add(listener.name);
    const place = `${listener.port}/${listener.protocol}/${listener.hostname ?? ''}`;
    if (places.has(place))
      findings.add('duplicate-listener', at, 'has the same port, protocol and hostname as another listener');
    places.add(place);
    if (listener.hostname !== undefined && listener.hostname !== '') {
      const problem = hostProblem(listener.hostname, { wildcard: true });
      if (problem !== undefined) findings.add('invalid-host', [...at, 'hostname'], problem);
    }
    const known =
      ['HTTP', 'HTTPS', 'TLS', 'TCP', 'UDP'].includes(listener.protocol) ||
      /^[\w.-]+\/[\w./-]+$/.test(listener.protocol);
    if (!known) findings.add('invalid-value', [...at, 'protocol'], 'must be HTTP, HTTPS, TLS, TCP or UDP');
    if (listener.protocol === 'HTTP' && listener.tls !== undefined) {
      findings.add('conflicting-fields', [...at, 'tls'], 'does not belong to protocol HTTP', { part: 'key' });
    }
    const namespaces = listener.allowedRoutes?.namespaces;
    if (namespaces?.from === 'Selector' && namespaces.selector === undefined) {
      findings.add(
        'required',
        [...at, 'allowedRoutes', 'namespaces', 'selector'],
        'is required with from: Selector',
        { part: 'key' },
      );
    }
  });
}

export function checkGatewayClass(object: GatewayClass, findings: Findings): void {
  findings.check(object.spec.controllerName, ['spec', 'controllerName'], (name, path) => {
    if (!/^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?\/[A-Za-z0-9/\-._~%!$&'()*+,;=:]+$/.test(name)) {
      findings.add('invalid-value', path, 'must be domain/path, as in sluice.dev/gateway-controller');
    }
  });
}
