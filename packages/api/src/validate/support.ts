/** Refuses fields that are known and not honoured yet, and warns of fields on their way out. */
import type { z } from 'zod';
import { visitFields } from '../schema/walk.ts';
import { laterField } from '../support/lookup.ts';
import type { Findings } from './findings.ts';

export function checkSupport(kind: string, schema: z.ZodType, value: unknown, findings: Findings): void {
  visitFields(schema, value, (field) => {
    const later = laterField(kind, field.pattern, field.value);
    if (later !== undefined) {
      const what = later.values === undefined ? '' : `${String(field.value)} `;
      findings.add('not-supported-yet', field.path, `${what}is not supported yet`, {
        severity: later.severity ?? 'error',
        part: later.values === undefined ? 'key' : 'value',
      });
      return false;
    }
    if (field.meta.deprecated !== undefined) {
      findings.add('deprecated', field.path, 'is deprecated', {
        severity: 'warning',
        suggestion: field.meta.deprecated,
        part: 'key',
      });
    }
    return field.meta.isUnused !== true;
  });
}
