/** Checks that several of Istio's kinds share. */
import type { Path } from '../position.ts';
import type { Findings } from './findings.ts';
import { labelNameProblem } from './names.ts';

/** `.`, `*`, `~` or namespaces. */
export function checkExportTo(exportTo: readonly string[] | undefined, path: Path, findings: Findings): void {
  const seen = new Set<string>();
  findings.each(exportTo, path, (entry, at) => {
    if (seen.has(entry)) findings.add('duplicate-name', at, 'is named twice');
    seen.add(entry);
    if (entry === '.' || entry === '*') return;
    if (entry === '~') {
      if (exportTo !== undefined && exportTo.length > 1) {
        findings.add('conflicting-fields', at, '~ (nobody) may only stand alone');
      }
      return;
    }
    const problem = labelNameProblem(entry);
    if (problem !== undefined) findings.add('invalid-name', at, `must be ., *, ~ or a namespace: ${problem}`);
  });
  if (exportTo !== undefined && exportTo.length > 1 && seen.has('*')) {
    findings.add('ineffective-field', path, '* already stands for every namespace', { severity: 'warning' });
  }
}

export function checkRedirectStatus(status: number | undefined, path: Path, findings: Findings): void {
  if (status === undefined || [301, 302, 303, 307, 308].includes(status)) return;
  findings.add('invalid-value', path, 'must be 301, 302, 303, 307 or 308');
}

/** A selector without labels would take everything, which nobody writes on purpose. */
export function checkSelectorNotEmpty(
  labels: Readonly<Record<string, string>> | undefined,
  path: Path,
  findings: Findings,
): void {
  if (labels !== undefined && Object.keys(labels).length === 0) {
    findings.add('ineffective-field', path, 'selects every workload of the namespace', {
      severity: 'warning',
    });
  }
  for (const [key, value] of Object.entries(labels ?? {})) {
    if (key.includes('*') || (typeof value === 'string' && value.includes('*'))) {
      findings.add('invalid-label', [...path, key], 'must not be a wildcard', { part: 'key' });
    }
  }
}
