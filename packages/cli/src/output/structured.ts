/** `-o json` and `-o yaml`. */
import { stringify } from 'yaml';

export function renderJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

export function renderYaml(value: unknown): string {
  return stringify(value, { lineWidth: 0, aliasDuplicateObjects: false });
}

export function renderAs(format: string, value: unknown): string {
  return format === 'yaml' ? renderYaml(value) : renderJson(value);
}
