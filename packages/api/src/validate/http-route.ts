/** HTTPRoute: the rules of the Gateway API that the shape alone cannot say. */
import type { Path } from '../position.ts';
import type { HttpRouteObject } from '../resource-types.ts';
import type { HttpRouteMatch, HttpRouteRule, HttpRouteSpec } from '../schema/gateway-api/http-route.ts';
import { durationMs } from './durations.ts';
import type { Findings } from './findings.ts';
import { checkFilters } from './http-route-filters.ts';
import { headerNameProblem, hostProblem, labelNameProblem, subdomainProblem } from './names.ts';
import { regexProblem } from './regex.ts';

/** Matches of all rules together. */
const maxMatches = 128;

export function checkHttpRoute(object: HttpRouteObject, findings: Findings): void {
  const spec = object.spec;
  const path = ['spec'];
  findings.check(spec.parentRefs, [...path, 'parentRefs'], (parents, at) =>
    checkParents(parents, at, findings),
  );
  findings.each(spec.hostnames, [...path, 'hostnames'], (hostname, at) => {
    const problem = hostProblem(hostname, { wildcard: true }) ?? lowerCaseProblem(hostname);
    if (problem !== undefined) findings.add('invalid-host', at, problem);
  });
  const names = new Set<string>();
  findings.each(spec.rules, [...path, 'rules'], (rule, at) => {
    if (rule.name !== undefined) {
      const problem = subdomainProblem(rule.name);
      if (problem !== undefined) findings.add('invalid-name', [...at, 'name'], problem);
      if (names.has(rule.name))
        findings.add('duplicate-name', [...at, 'name'], 'is the name of another rule too');
      names.add(rule.name);
    }
    checkRule(rule, at, findings);
  });
  findings.check(spec.rules, [...path, 'rules'], (rules, at) => {
    if (rules.length === 0) findings.add('required', at, 'needs at least one rule', { part: 'key' });
    const matches = rules.reduce((sum, rule) => sum + (rule.matches?.length ?? 0), 0);
    if (matches > maxMatches)
      findings.add('invalid-value', at, `has ${matches} matches in all; ${maxMatches} are allowed`);
  });
}

function lowerCaseProblem(hostname: string): string | undefined {
  return hostname === hostname.toLowerCase() ? undefined : 'must be in lower case';
}

type Parents = NonNullable<HttpRouteSpec['parentRefs']>;

function checkParents(parents: Parents, path: Path, findings: Findings): void {
  const seen = new Map<string, { hasPart: boolean; parts: Set<string> }>();
  for (const [index, parent] of parents.entries()) {
    const at = [...path, index];
    const group = parent.group ?? 'gateway.networking.k8s.io';
    const kind = parent.kind ?? 'Gateway';
    const isKnown =
      (group === '' && kind === 'Service') || (group === 'gateway.networking.k8s.io' && kind === 'Gateway');
    if (!isKnown) {
      const isService = kind === 'Service';
      findings.add(
        isService ? 'invalid-value' : 'not-supported-yet',
        [...at, 'kind'],
        isService ? 'Service needs group ""' : `a parent of kind ${kind} is not supported yet`,
        isService ? { suggestion: 'write group: ""' } : {},
      );
    }
    const identity = `${group}/${kind}/${parent.namespace ?? ''}/${parent.name}`;
    const part = `${parent.sectionName ?? ''}:${parent.port ?? ''}`;
    const others = seen.get(identity) ?? { hasPart: part !== ':', parts: new Set() };
    if (others.parts.has(part)) findings.add('duplicate-parent', at, 'is the same parent as another');
    else if (others.parts.size > 0 && (!others.hasPart || part === ':')) {
      findings.add(
        'duplicate-parent',
        at,
        'must name a sectionName or port wherever a parent is named twice',
      );
    }
    others.parts.add(part);
    seen.set(identity, others);
  }
}

function checkRule(rule: HttpRouteRule, path: Path, findings: Findings): void {
  findings.each(rule.matches, [...path, 'matches'], (match, at) => checkMatch(match, at, findings));
  checkFilters(rule.filters, { ...rule, isRule: true }, [...path, 'filters'], findings);
  const redirects = (rule.filters ?? []).some((filter) => filter.type === 'RequestRedirect');
  if (redirects && (rule.backendRefs ?? []).length > 0) {
    findings.add('conflicting-fields', [...path, 'backendRefs'], 'cannot stand beside a RequestRedirect', {
      part: 'key',
    });
  }
  if (!redirects && (rule.backendRefs ?? []).length === 0) {
    findings.add('no-backends', path, 'has no backendRefs: requests are answered with 500', {
      severity: 'warning',
      part: 'key',
    });
  }
  checkBackends(rule, path, findings);
  checkTimes(rule, path, findings);
}

function checkBackends(rule: HttpRouteRule, path: Path, findings: Findings): void {
  const backends = rule.backendRefs ?? [];
  findings.each(backends, [...path, 'backendRefs'], (backend, at) => {
    const isService = (backend.group ?? '') === '' && (backend.kind ?? 'Service') === 'Service';
    if (!isService) {
      findings.add(
        'invalid-kind',
        [...at, 'kind'],
        'only Services can be backends: requests for it are answered with 500',
        {
          severity: 'warning',
        },
      );
    } else {
      const problem = labelNameProblem(backend.name);
      if (problem !== undefined) findings.add('invalid-name', [...at, 'name'], problem);
      if (backend.port === undefined)
        findings.add('required', [...at, 'port'], 'is required for a Service', { part: 'key' });
    }
    checkFilters(backend.filters, { matches: rule.matches, isRule: false }, [...at, 'filters'], findings);
  });
  if (backends.length > 0 && backends.every((backend) => backend.weight === 0)) {
    findings.add(
      'zero-weights',
      [...path, 'backendRefs'],
      'has weights that sum to 0: requests are answered with 500',
      {
        severity: 'warning',
        part: 'key',
      },
    );
  }
}

function checkMatch(match: HttpRouteMatch, path: Path, findings: Findings): void {
  checkPath(match.path, [...path, 'path'], findings);
  for (const field of ['headers', 'queryParams'] as const) {
    const seen = new Set<string>();
    findings.each(match[field], [...path, field], (condition, at) => {
      const name = field === 'headers' ? condition.name.toLowerCase() : condition.name;
      if (seen.has(name)) {
        findings.add('ineffective-field', [...at, 'name'], 'is matched already: only the first counts', {
          severity: 'warning',
        });
      }
      seen.add(name);
      const problem = field === 'headers' ? headerNameProblem(condition.name) : undefined;
      if (problem !== undefined) findings.add('invalid-header', [...at, 'name'], problem);
      if (condition.type === 'RegularExpression') {
        const problem = regexProblem(condition.value);
        if (problem !== undefined) findings.add('invalid-regex', [...at, 'value'], problem);
      }
    });
  }
}

function checkPath(path: HttpRouteMatch['path'], at: Path, findings: Findings): void {
  if (path?.value === undefined) return;
  const place = [...at, 'value'];
  if (path.type === 'RegularExpression') {
    const problem = path.value === '' ? 'must not be empty' : regexProblem(path.value);
    if (problem !== undefined) findings.add('invalid-regex', place, problem);
    return;
  }
  const { value } = path;
  if (!value.startsWith('/')) findings.add('invalid-value', place, 'must begin with /');
  const forbidden = ['//', '/./', '/../', '%2f', '%2F', '#'].find((part) => value.includes(part));
  if (forbidden !== undefined) findings.add('invalid-value', place, `must not contain ${forbidden}`);
  if (value.endsWith('/..') || value.endsWith('/.'))
    findings.add('invalid-value', place, 'must not end with /. or /..');
  if (!/^[-/0-9A-Za-z._~!$&'()*+,;=:@%]*$/.test(value)) {
    findings.add('invalid-value', place, 'must have only characters of a path; others as %XX');
  }
}

function checkTimes(rule: HttpRouteRule, path: Path, findings: Findings): void {
  const requestMs = durationMs(rule.timeouts?.request);
  const backendMs = durationMs(rule.timeouts?.backendRequest);
  if (requestMs !== undefined && requestMs > 0 && backendMs !== undefined && backendMs > requestMs) {
    findings.add('timeout-order', [...path, 'timeouts', 'backendRequest'], 'must not be longer than request');
  }
  if (rule.retry?.codes !== undefined && rule.retry.codes.length === 0) {
    findings.add('ineffective-field', [...path, 'retry', 'codes'], 'is empty: no status is tried again', {
      severity: 'warning',
    });
  }
}
