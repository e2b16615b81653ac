/**
 * How a field is declared: its shape, what it means, its default and whether it is on the way out. The notes
 * travel with the zod schema, so that validation, the generated documentation and deprecation warnings all read
 * one declaration. Whether a field is honoured stands elsewhere (support/table.ts), because that changes with
 * every release and the shape does not.
 */
import { z } from 'zod';

export interface FieldNotes {
  /** The default in words or as written in YAML. */
  readonly default?: string;
  /** What to write instead; presence marks the field deprecated. */
  readonly deprecated?: string;
  /** The field belongs to somebody else (the cluster, the container runtime): known, and not acted on. */
  readonly isUnused?: boolean;
}

export interface FieldMeta extends FieldNotes {
  readonly about?: string;
}

const fields = z.registry<FieldMeta>();

export function optional<T extends z.ZodType>(
  schema: T,
  about: string,
  notes: FieldNotes = {},
): z.ZodExactOptional<T> {
  const field = z.exactOptional(schema);
  fields.add(field, { about, ...notes });
  return field;
}

/** A field that others act on: `image` of a container, `nodePort` of a service. */
export function unused<T extends z.ZodType>(schema: T): z.ZodExactOptional<T> {
  return optional(schema, 'Belongs to the cluster; the mesh has no use for it', { isUnused: true });
}

export function required<T extends z.ZodType>(schema: T, about: string): T {
  const field = schema.clone();
  fields.add(field, { about });
  return field;
}

export function metaOf(schema: z.core.$ZodType): FieldMeta {
  return fields.get(schema) ?? {};
}
