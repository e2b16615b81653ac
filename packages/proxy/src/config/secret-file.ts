/** Secrets in a file (`path_config_source`): a discovery response in YAML or JSON, as Envoy reads it. */
import { readFileSync } from 'node:fs';
import {
  parseJsonMessage,
  SecretTable,
  UnhonouredReport,
  XdsJsonError,
  type JsonObject,
  type JsonValue,
  type Secret,
} from '@sluice/xds';
import { parsePlainJson } from './plain-json.ts';

export interface FileSecret {
  readonly secret: Secret;
  readonly report: UnhonouredReport;
}

/** The file's secrets, or in words why it cannot be read. */
export function readSecretFile(path: string): readonly FileSecret[] | string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  const value = parsePlainJson(text) ?? valueOfYaml(text);
  if (typeof value === 'string') return value;
  const resources = isObject(value) ? value['resources'] : undefined;
  if (!Array.isArray(resources)) return 'must be a discovery response: a mapping with a list of resources';
  const secrets: FileSecret[] = [];
  for (const [i, resource] of (resources as readonly JsonValue[]).entries()) {
    const read = readResource(resource);
    if (typeof read === 'string') return `resources[${i}]: ${read}`;
    secrets.push(read);
  }
  return secrets;
}

function readResource(resource: JsonValue): FileSecret | string {
  if (!isObject(resource)) return 'must be a mapping';
  const { '@type': type, ...fields } = resource;
  if (type !== SecretTable.typeUrl) return `@type must be ${SecretTable.typeUrl}`;
  const report = new UnhonouredReport();
  try {
    return { secret: parseJsonMessage(SecretTable, fields, report), report };
  } catch (error) {
    if (!(error instanceof XdsJsonError)) throw error;
    return error.problems.map((one) => `${one.path}: ${one.problem}`).join('; ');
  }
}

/** Loads the parser on first use. A text: what is wrong. */
function valueOfYaml(text: string): JsonValue {
  const { parseYaml } = require('./yaml-text.ts') as typeof import('./yaml-text.ts');
  const { value, problems } = parseYaml(text);
  return problems.length > 0 ? problems.join('; ') : value;
}

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
