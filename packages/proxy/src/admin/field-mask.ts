/** `mask=a.b,c`: keeps the named fields of a JSON object, through lists; `@type` always stays. */
import type { JsonObject, JsonValue } from '@sluice/xds';

/** A tree of names; one without branches keeps everything below. */
export interface FieldMask {
  readonly fields: Map<string, FieldMask>;
}

export function fieldMask(text: string): FieldMask {
  const root: FieldMask = { fields: new Map() };
  for (const path of text.split(',')) {
    let at = root;
    for (const step of path.trim().split('.')) {
      let next = at.fields.get(step);
      if (next === undefined) at.fields.set(step, (next = { fields: new Map() }));
      at = next;
    }
  }
  return root;
}

export function applyMask(value: JsonValue, mask: FieldMask): JsonValue {
  if (mask.fields.size === 0) return value;
  if (Array.isArray(value)) return (value as readonly JsonValue[]).map((item) => applyMask(item, mask));
  if (typeof value !== 'object' || value === null) return value;
  const kept: Record<string, JsonValue> = {};
  for (const [name, member] of Object.entries(value as JsonObject)) {
    const below = mask.fields.get(name);
    if (below !== undefined) kept[name] = applyMask(member, below);
    else if (name === '@type') kept[name] = member;
  }
  return kept;
}
