/** Filters of HTTPRoute: each with its own settings, at most once, in combinations that mean something. */
import type { Path } from '../position.ts';
import type { HeaderModifier, HttpRouteFilter, PathModifier } from '../schema/gateway-api/http-filters.ts';
import type { HttpRouteMatch } from '../schema/gateway-api/http-route.ts';
import type { Findings } from './findings.ts';
import { headerNameProblem, headerValueProblem, hostProblem } from './names.ts';

const memberOfType = {
  RequestHeaderModifier: 'requestHeaderModifier',
  ResponseHeaderModifier: 'responseHeaderModifier',
  RequestMirror: 'requestMirror',
  RequestRedirect: 'requestRedirect',
  URLRewrite: 'urlRewrite',
  ExtensionRef: 'extensionRef',
  CORS: 'cors',
  ExternalAuth: 'externalAuth',
} as const satisfies Record<HttpRouteFilter['type'], keyof HttpRouteFilter>;

/** Types that may stand several times. */
const repeatable: ReadonlySet<string> = new Set(['RequestMirror', 'ExtensionRef']);

export interface FilterPlace {
  readonly matches?: readonly HttpRouteMatch[] | undefined;
  readonly isRule: boolean;
}

export function checkFilters(
  filters: readonly HttpRouteFilter[] | undefined,
  place: FilterPlace,
  path: Path,
  findings: Findings,
): void {
  const seen = new Set<string>();
  findings.each(filters, path, (filter, at) => {
    if (seen.has(filter.type) && !repeatable.has(filter.type)) {
      findings.add('duplicate-filter', [...at, 'type'], `${filter.type} may stand only once`);
    }
    seen.add(filter.type);
    checkMembers(filter, at, findings);
    checkModifier(filter.requestHeaderModifier, [...at, 'requestHeaderModifier'], findings);
    checkModifier(filter.responseHeaderModifier, [...at, 'responseHeaderModifier'], findings);
    for (const member of ['requestRedirect', 'urlRewrite'] as const) {
      const settings = filter[member];
      if (settings?.hostname !== undefined) {
        const problem = hostProblem(settings.hostname, {});
        if (problem !== undefined) findings.add('invalid-host', [...at, member, 'hostname'], problem);
      }
      checkPathModifier(settings?.path, place, [...at, member, 'path'], findings);
    }
  });
  if (seen.has('RequestRedirect') && seen.has('URLRewrite')) {
    findings.add('conflicting-fields', path, 'may have only one of RequestRedirect and URLRewrite');
  }
}

function checkMembers(filter: HttpRouteFilter, path: Path, findings: Findings): void {
  const own = memberOfType[filter.type];
  if (filter[own] === undefined)
    findings.add('required', [...path, own], `is required with type ${filter.type}`, { part: 'key' });
  for (const member of Object.values(memberOfType)) {
    if (member !== own && filter[member] !== undefined) {
      findings.add('conflicting-fields', [...path, member], `does not belong to type ${filter.type}`, {
        part: 'key',
      });
    }
  }
}

function checkModifier(modifier: HeaderModifier | undefined, path: Path, findings: Findings): void {
  const seen = new Map<string, string>();
  const check = (name: string, operation: string, at: Path) => {
    const problem = headerNameProblem(name);
    if (problem !== undefined) findings.add('invalid-header', at, problem);
    const lower = name.toLowerCase();
    if (seen.get(lower) === operation) findings.add('duplicate-name', at, 'is named twice');
    seen.set(lower, operation);
  };
  for (const operation of ['set', 'add'] as const) {
    findings.each(modifier?.[operation], [...path, operation], (header, at) => {
      check(header.name, operation, [...at, 'name']);
      const problem = headerValueProblem(header.value);
      if (problem !== undefined) findings.add('invalid-header', [...at, 'value'], problem);
    });
  }
  findings.each(modifier?.remove, [...path, 'remove'], (name, at) => check(name, 'remove', at));
}

function checkPathModifier(
  modifier: PathModifier | undefined,
  place: FilterPlace,
  path: Path,
  findings: Findings,
): void {
  if (modifier === undefined) return;
  const isPrefix = modifier.type === 'ReplacePrefixMatch';
  const own = isPrefix ? 'replacePrefixMatch' : 'replaceFullPath';
  const other = isPrefix ? 'replaceFullPath' : 'replacePrefixMatch';
  if (modifier[own] === undefined)
    findings.add('required', [...path, own], `is required with type ${modifier.type}`, { part: 'key' });
  if (modifier[other] !== undefined) {
    findings.add('conflicting-fields', [...path, other], `does not belong to type ${modifier.type}`, {
      part: 'key',
    });
  }
  if (!isPrefix) return;
  const matches = place.matches ?? [];
  // No match at all is the prefix /; several, or one of another type, leave no single prefix to replace.
  const onlyPrefixes = matches.every((match) => (match.path?.type ?? 'PathPrefix') === 'PathPrefix');
  if (matches.length > 1 || !onlyPrefixes) {
    findings.add(
      'conflicting-fields',
      path,
      'ReplacePrefixMatch needs exactly one match, of type PathPrefix',
      { part: 'key' },
    );
  }
}
