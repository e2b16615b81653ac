/** `tls` and `tcp` of a VirtualService: routes of connections whose content is not read. */
import { hostMatches } from '../hosts.ts';
import type { Path } from '../position.ts';
import type { RouteDestination } from '../schema/istio/destination.ts';
import type { VirtualServiceSpec } from '../schema/istio/virtual-service.ts';
import type { Findings } from './findings.ts';
import { checkLabels } from './metadata.ts';
import { addressProblem, hostProblem } from './names.ts';

type TlsMatch = NonNullable<VirtualServiceSpec['tls']>[number]['match'][number];
type TcpMatch = NonNullable<NonNullable<VirtualServiceSpec['tcp']>[number]['match']>[number];

export function checkConnectionRoutes(spec: VirtualServiceSpec, path: Path, findings: Findings): void {
  // Items of lists stay when their type is wrong: their indices are places.
  const hosts = (spec.hosts ?? []).filter((host) => typeof host === 'string');
  findings.each(spec.tls, [...path, 'tls'], (route, at) => {
    findings.check(route.match, [...at, 'match'], (matches, place) => {
      if (matches.length === 0)
        findings.add('required', place, 'needs at least one server name', { part: 'key' });
    });
    findings.each(route.match, [...at, 'match'], (match, place) => {
      checkServerNames(match, hosts, place, findings);
      checkCommon(match, place, findings);
    });
    checkDestinations(route.route, [...at, 'route'], findings);
  });
  findings.each(spec.tcp, [...path, 'tcp'], (route, at) => {
    findings.each(route.match, [...at, 'match'], (match, place) => checkCommon(match, place, findings));
    checkDestinations(route.route, [...at, 'route'], findings);
  });
}

/** As in Istio, a server name that none of the hosts covers belongs to another VirtualService. */
function checkServerNames(match: TlsMatch, hosts: readonly string[], path: Path, findings: Findings): void {
  const at = [...path, 'sniHosts'];
  if (match.sniHosts?.length === 0)
    findings.add('required', at, 'needs at least one server name', { part: 'key' });
  findings.each(match.sniHosts, at, (name, place) => {
    const problem = hostProblem(name, { wildcard: true, all: true });
    if (problem !== undefined) {
      findings.add('invalid-host', place, problem);
    } else if (!hosts.some((host) => host === name || hostMatches(host, name))) {
      findings.add('invalid-host', place, `${name} is not covered by any of spec.hosts`, {
        suggestion: 'add it to spec.hosts',
      });
    }
  });
}

function checkCommon(match: TlsMatch | TcpMatch, path: Path, findings: Findings): void {
  findings.each(match.destinationSubnets, [...path, 'destinationSubnets'], (subnet, at) => {
    const problem = addressProblem(subnet);
    if (problem !== undefined) findings.add('invalid-value', at, problem);
  });
  if (match.port !== undefined && (match.port < 1 || match.port > 65_535))
    findings.add('invalid-value', [...path, 'port'], 'must be a port number from 1 to 65535');
  checkLabels(match.sourceLabels, [...path, 'sourceLabels'], findings);
}

function checkDestinations(
  routes: readonly RouteDestination[] | undefined,
  path: Path,
  findings: Findings,
): void {
  if (routes === undefined || routes.length === 0)
    findings.add('required', path, 'needs at least one destination', { part: 'key' });
  findings.each(routes, path, (route, at) => {
    const problem = hostProblem(route.destination.host, { address: true });
    if (problem !== undefined) findings.add('invalid-host', [...at, 'destination', 'host'], problem);
  });
  findings.check(routes, path, (routes) => {
    const total = routes.reduce((sum, route) => sum + (route.weight ?? 0), 0);
    if (routes.length > 1 && total === 0) {
      findings.add(
        'zero-weights',
        path,
        'has weights that sum to 0, so that no destination takes connections',
        {
          suggestion: 'give each destination a weight',
          part: 'key',
        },
      );
    }
  });
}
