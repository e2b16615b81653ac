/** VirtualService: what a route may say, and what it cannot mean. */
import type { Path } from '../position.ts';
import type { VirtualService } from '../resource-types.ts';
import type { Headers } from '../schema/istio/destination.ts';
import type { StringMatch } from '../schema/istio/string-match.ts';
import type { HttpMatch, HttpRedirect, HttpRoute } from '../schema/istio/virtual-service.ts';
import { checkLeastDuration, durationMs } from './durations.ts';
import type { Findings } from './findings.ts';
import { checkExportTo, checkRedirectStatus } from './istio-common.ts';
import { checkRetries } from './istio-retries.ts';
import { checkConnectionRoutes } from './istio-l4-routes.ts';
import { checkLabels } from './metadata.ts';
import { headerNameProblem, headerValueProblem, hostProblem } from './names.ts';
import { regexProblem } from './regex.ts';

export function checkVirtualService(object: VirtualService, findings: Findings): void {
  const spec = object.spec;
  const path = ['spec'];
  findings.check(spec, path, () => {
    if (spec.http === undefined && spec.tls === undefined && spec.tcp === undefined) {
      findings.add('required', path, 'needs http, tls or tcp routes', { part: 'key' });
    }
  });
  const gateways = spec.gateways ?? ['mesh'];
  checkHosts(spec.hosts, Array.isArray(gateways) && gateways.includes('mesh'), [...path, 'hosts'], findings);
  checkGateways(spec.gateways, [...path, 'gateways'], findings);
  checkExportTo(spec.exportTo, [...path, 'exportTo'], findings);
  checkConnectionRoutes(spec, path, findings);
  const names = new Map<string, number>();
  findings.each(spec.http, [...path, 'http'], (route, at, index) => {
    checkHttpRoute(route, at, findings);
    if (route.name === undefined) return;
    const first = names.get(route.name);
    if (first === undefined) names.set(route.name, index);
    else
      findings.add('duplicate-name', [...at, 'name'], `is the name of route ${first} too`, {
        severity: 'warning',
      });
  });
}

function checkHosts(
  hosts: readonly string[] | undefined,
  isMesh: boolean,
  path: Path,
  findings: Findings,
): void {
  if (hosts === undefined || hosts.length === 0) {
    findings.add('required', path, 'needs at least one host', { part: 'key' });
    return;
  }
  const seen = new Set<string>();
  findings.each(hosts, path, (host, at) => {
    const problem = hostProblem(host, { wildcard: true, all: !isMesh, address: true });
    if (problem !== undefined) findings.add('invalid-host', at, problem);
    if (seen.has(host)) findings.add('duplicate-host', at, 'is named twice');
    seen.add(host);
  });
}

function checkGateways(gateways: readonly string[] | undefined, path: Path, findings: Findings): void {
  findings.each(gateways, path, (gateway, at) => {
    if (gateway === 'mesh') return;
    if (!/^(?:[a-z0-9.-]+\/)?[a-z0-9.-]+$/.test(gateway)) {
      findings.add('invalid-name', at, 'must be mesh, a name or namespace/name');
      return;
    }
    findings.add(
      'gateway-not-running',
      at,
      'gateways do not run yet: these routes take effect only inside the mesh',
      {
        severity: 'notice',
      },
    );
  });
}

function checkHttpRoute(route: HttpRoute, path: Path, findings: Findings): void {
  const hasDestinations = route.route !== undefined && route.route.length > 0;
  const answers = [
    hasDestinations,
    route.redirect !== undefined,
    route.directResponse !== undefined,
    route.delegate !== undefined,
  ];
  const count = answers.filter(Boolean).length;
  if (count === 0)
    findings.add('required', path, 'needs route, redirect, directResponse or delegate', { part: 'key' });
  if (count > 1)
    findings.add(
      'conflicting-fields',
      path,
      'may have only one of route, redirect, directResponse and delegate',
    );
  if (!hasDestinations && route.rewrite !== undefined) {
    findings.add('conflicting-fields', [...path, 'rewrite'], 'needs a route to forward to', { part: 'key' });
  }
  findings.each(route.match, [...path, 'match'], (match, at) => checkMatch(match, at, findings));
  checkWeights(route.route, [...path, 'route'], findings);
  checkRedirect(route.redirect, [...path, 'redirect'], findings);
  if (route.directResponse !== undefined)
    checkDirectResponse(route.directResponse, [...path, 'directResponse'], findings);
  checkRewrite(route, path, findings);
  checkHeaders(route.headers, [...path, 'headers'], findings);
  checkLeastDuration(route.timeout, [...path, 'timeout'], findings, { allowZero: true });
  checkRetries(route.retries, [...path, 'retries'], durationMs(route.timeout), findings);
}

function checkMatch(match: HttpMatch, path: Path, findings: Findings): void {
  for (const field of ['uri', 'scheme', 'method', 'authority'] as const) {
    if (match[field] !== undefined)
      checkStringMatch(match[field], [...path, field], findings, { needsValue: true });
  }
  if (match.ignoreUriCase === true && match.uri?.regex !== undefined) {
    findings.add('ineffective-field', [...path, 'ignoreUriCase'], 'has no effect on a regular expression', {
      severity: 'warning',
      suggestion: 'begin the expression with (?i)',
      part: 'key',
    });
  }
  for (const field of ['headers', 'withoutHeaders'] as const) {
    for (const [name, value] of Object.entries(match[field] ?? {})) {
      const at = [...path, field, name];
      checkMatchedHeader(name, at, findings);
      checkStringMatch(value, at, findings, { needsValue: false });
    }
  }
  for (const [name, value] of Object.entries(match.queryParams ?? {})) {
    checkStringMatch(value, [...path, 'queryParams', name], findings, { needsValue: false });
  }
  checkLabels(match.sourceLabels, [...path, 'sourceLabels'], findings);
  checkGateways(match.gateways, [...path, 'gateways'], findings);
}

function checkMatchedHeader(name: string, path: Path, findings: Findings): void {
  if (['uri', 'scheme', 'method', 'authority'].includes(name)) {
    findings.add(
      'ineffective-field',
      path,
      `is not a header; ${name} has a field of its own beside headers`,
      { part: 'key' },
    );
  } else if (!name.startsWith(':')) {
    const problem = headerNameProblem(name);
    if (problem !== undefined) findings.add('invalid-header', path, problem, { part: 'key' });
    else if (name !== name.toLowerCase()) {
      findings.add('invalid-header', path, 'must be in lower case', {
        suggestion: name.toLowerCase(),
        part: 'key',
      });
    }
  }
}

function checkStringMatch(
  match: StringMatch,
  path: Path,
  findings: Findings,
  { needsValue }: { needsValue: boolean },
): void {
  const given = (['exact', 'prefix', 'regex'] as const).filter((form) => match[form] !== undefined);
  if (given.length > 1)
    findings.add('conflicting-fields', path, `may have only one of ${given.join(' and ')}`);
  if (given.length === 0 && needsValue)
    findings.add('required', path, 'needs exact, prefix or regex', { part: 'key' });
  if (match.regex !== undefined) {
    const problem = match.regex === '' ? 'must not be empty' : regexProblem(match.regex);
    if (problem !== undefined) findings.add('invalid-regex', [...path, 'regex'], problem);
  }
}

function checkWeights(routes: HttpRoute['route'], path: Path, findings: Findings): void {
  findings.each(routes, path, (route, at) => {
    const problem = hostProblem(route.destination.host, { address: true });
    if (problem !== undefined) findings.add('invalid-host', [...at, 'destination', 'host'], problem);
    checkHeaders(route.headers, [...at, 'headers'], findings);
  });
  findings.check(routes, path, (routes) => {
    if (routes.length < 2) return;
    const total = routes.reduce((sum, route) => sum + (route.weight ?? 0), 0);
    if (total === 0) {
      findings.add('zero-weights', path, 'has weights that sum to 0, so that no destination takes traffic', {
        suggestion: 'give each destination a weight',
        part: 'key',
      });
    } else if (total > 4_294_967_295) {
      findings.add('invalid-value', path, 'has weights whose sum is above 4294967295');
    }
  });
}

function checkRedirect(redirect: HttpRedirect | undefined, path: Path, findings: Findings): void {
  findings.check(redirect, path, (redirect) => {
    checkRedirectStatus(redirect.redirectCode, [...path, 'redirectCode'], findings);
    if (redirect.uri !== undefined && redirect.prefixRewrite !== undefined) {
      findings.add('conflicting-fields', path, 'may have only one of uri and prefixRewrite');
    }
    if (redirect.port !== undefined && redirect.derivePort !== undefined) {
      findings.add('conflicting-fields', path, 'may have only one of port and derivePort');
    }
    if (redirect.scheme !== undefined && redirect.scheme !== 'http' && redirect.scheme !== 'https') {
      findings.add('invalid-value', [...path, 'scheme'], 'must be http or https');
    }
    const hasEffect = ['uri', 'prefixRewrite', 'authority', 'port', 'derivePort', 'scheme'].some(
      (field) => field in redirect,
    );
    if (!hasEffect) findings.add('required', path, 'needs at least one part to change', { part: 'key' });
    for (const field of ['uri', 'authority'] as const) {
      const problem = headerValueProblem(redirect[field] ?? '');
      if (problem !== undefined) findings.add('invalid-value', [...path, field], problem);
    }
  });
}

function checkDirectResponse(
  response: NonNullable<HttpRoute['directResponse']>,
  path: Path,
  findings: Findings,
): void {
  // Envoy refuses others; 1xx would not end the exchange.
  if (response.status < 200 || response.status > 599) {
    findings.add('invalid-value', [...path, 'status'], 'must be from 200 to 599');
  }
  const { string, bytes } = response.body ?? {};
  if (string !== undefined && bytes !== undefined) {
    findings.add('conflicting-fields', [...path, 'body'], 'may have only one of string and bytes');
  }
  if ((string ?? bytes ?? '').length > 1024 * 1024) {
    findings.add('too-large', [...path, 'body'], 'must have at most 1 MiB');
  }
  if (bytes !== undefined && !/^[A-Za-z0-9+/_-]*={0,2}$/.test(bytes)) {
    findings.add('invalid-value', [...path, 'body', 'bytes'], 'must be base64');
  }
}

function checkRewrite(route: HttpRoute, path: Path, findings: Findings): void {
  const rewrite = route.rewrite;
  if (rewrite === undefined) return;
  const at = [...path, 'rewrite'];
  const { uri, authority, uriRegexRewrite } = rewrite;
  if (uri === undefined && authority === undefined && uriRegexRewrite === undefined) {
    findings.add('required', at, 'needs uri, uriRegexRewrite or authority', { part: 'key' });
  }
  if (uri !== undefined && uriRegexRewrite !== undefined) {
    findings.add('conflicting-fields', at, 'may have only one of uri and uriRegexRewrite');
  }
  if (uri !== undefined && /[\s\0]/.test(uri))
    findings.add('invalid-value', [...at, 'uri'], 'must not contain blanks');
  if (authority !== undefined && headerValueProblem(authority) !== undefined) {
    findings.add('invalid-value', [...at, 'authority'], 'must not contain line breaks or NUL');
  }
  if (uri !== undefined && (route.match ?? []).some((match) => match.uri?.regex !== undefined)) {
    findings.add(
      'ineffective-field',
      [...at, 'uri'],
      'replaces the whole path where the match is a regular expression',
      {
        severity: 'warning',
        suggestion: 'use uriRegexRewrite to keep parts of the path',
      },
    );
  }
  if (uriRegexRewrite !== undefined) {
    const problem = uriRegexRewrite.match ? regexProblem(uriRegexRewrite.match) : 'must not be empty';
    if (problem !== undefined) findings.add('invalid-regex', [...at, 'uriRegexRewrite', 'match'], problem);
    checkReplacement(
      uriRegexRewrite.match ?? '',
      uriRegexRewrite.rewrite ?? '',
      [...at, 'uriRegexRewrite'],
      findings,
    );
  }
}

/** A replacement may name only groups that the expression has. */
function checkReplacement(match: string, rewrite: string, path: Path, findings: Findings): void {
  const groups = match.replaceAll(/\\./g, '').match(/\((?!\?(?!P?<))/g)?.length ?? 0;
  for (const [text, digit] of rewrite.matchAll(/\\(.?)/g)) {
    if (digit === '\\') continue;
    if (!/^\d$/.test(digit ?? ''))
      findings.add('invalid-value', [...path, 'rewrite'], `${text} is not \\0 to \\9`);
    else if (Number(digit) > groups) {
      findings.add(
        'invalid-value',
        [...path, 'rewrite'],
        `${text} stands for a group that the expression does not have`,
      );
    }
  }
}

/** Headers that carry the message itself; changing them would change where it ends or where it goes. */
const framingHeaders = new Set([
  'content-length',
  'transfer-encoding',
  'connection',
  'upgrade',
  'te',
  'keep-alive',
]);

export function checkHeaders(headers: Headers | undefined, path: Path, findings: Findings): void {
  for (const side of ['request', 'response'] as const) {
    const operations = headers?.[side];
    for (const operation of ['set', 'add'] as const) {
      for (const [name, value] of Object.entries(operations?.[operation] ?? {})) {
        const at = [...path, side, operation, name];
        checkChangedHeader(name, side, at, findings);
        const problem = headerValueProblem(value);
        if (problem !== undefined) findings.add('invalid-header', at, problem);
      }
    }
    findings.each(operations?.remove, [...path, side, 'remove'], (name, at) =>
      checkChangedHeader(name, side, at, findings, true),
    );
  }
}

function checkChangedHeader(
  name: string,
  side: string,
  path: Path,
  findings: Findings,
  isRemoved = false,
): void {
  const lower = name.toLowerCase();
  const mayBePseudo = side === 'request' && !isRemoved && (lower === ':authority' || lower === ':path');
  const problem = mayBePseudo ? undefined : headerNameProblem(name);
  if (problem !== undefined) findings.add('invalid-header', path, problem, { part: 'key' });
  else if (framingHeaders.has(lower)) {
    findings.add('invalid-header', path, 'belongs to the connection and cannot be changed', { part: 'key' });
  } else if (isRemoved && lower === 'host') {
    findings.add('invalid-header', path, 'cannot be removed', { part: 'key' });
  }
}
