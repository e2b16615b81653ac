/** Reading the support table: for a value that is being validated, and as a whole for documentation. */
import { kinds } from '../kinds.ts';
import { objectSchemas } from '../schema/registry.ts';
import { listFields } from '../schema/walk.ts';
import { sluiceFile } from '../schema/sluice-file.ts';
import { firstVersion, laterFields, type LaterField } from './table.ts';

/** unused: known because manifests carry it, and none of the mesh's business. */
export type FieldSupport = 'honoured' | 'later' | 'unused';

export interface SupportEntry {
  /** `group/Kind`, or `sluice.yaml`. */
  readonly kind: string;
  /** Field pattern; empty for the kind as a whole. */
  readonly path: string;
  readonly support: FieldSupport;
  /** Values that are not honoured yet, where others are. */
  readonly laterValues?: readonly string[];
  readonly since?: string;
}

const byKind = new Map(
  Object.entries(laterFields).map(([kind, fields]) => [
    kind,
    new Map(fields.map((field) => [field.path, field])),
  ]),
);

/** The entry that says this field, with this value, is not honoured yet. */
export function laterField(kind: string, pattern: string, value: unknown): LaterField | undefined {
  const entry = byKind.get(kind)?.get(pattern);
  if (entry?.values === undefined) return entry;
  return typeof value === 'string' && entry.values.includes(value.toUpperCase())
    ? entry
    : exactValue(entry, value);
}

function exactValue(entry: LaterField, value: unknown): LaterField | undefined {
  return entry.values?.includes(String(value)) === true ? entry : undefined;
}

/** Every kind and every field with what happens to it. */
export function supportTable(): readonly SupportEntry[] {
  const whole = kinds.map((info): SupportEntry => ({
    kind: `${info.group}/${info.kind}`,
    path: '',
    support: info.support === 'skipped' ? 'unused' : info.support,
    ...(info.support === 'honoured' ? { since: firstVersion } : {}),
  }));
  const schemas = [...Object.entries(objectSchemas), ['sluice.yaml', sluiceFile] as const];
  const fields = schemas.flatMap(([kind, schema]) => {
    return listFields(schema).map((field) => entryOf(kind, field.pattern, field.meta.isUnused === true));
  });
  return [...whole, ...fields];
}

function entryOf(kind: string, path: string, isUnused: boolean): SupportEntry {
  if (isUnused) return { kind, path, support: 'unused' };
  const entries = byKind.get(kind);
  const own = entries?.get(path);
  if (own?.values !== undefined) {
    return { kind, path, support: 'honoured', laterValues: own.values, since: firstVersion };
  }
  // What stands below a field that is not honoured is not honoured either.
  const steps = path.split('.');
  for (let length = 1; length <= steps.length; length++) {
    const above = steps.slice(0, length).join('.');
    const entry = entries?.get(above.replace(/(?:\[\]|\{\})+$/, '')) ?? entries?.get(above);
    if (entry !== undefined && entry.values === undefined) return { kind, path, support: 'later' };
  }
  return { kind, path, support: 'honoured', since: firstVersion };
}
