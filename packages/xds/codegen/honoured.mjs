/**
 * Reads the committed lists of what the proxy honours and resolves them against the descriptors.
 *
 * A list is a JSON object: `"proto.type.Name as TsName": "field field:raw"`, with `*` for all fields and
 * `-field` for all but one. Every honoured message field must point to a listed message, so nothing is
 * accepted by reference without somebody having written it down. `:raw` keeps an Any undecoded.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Google's types that have a representation of their own instead of a table. */
export const wellKnown = {
  'google.protobuf.Any': 'A',
  'google.protobuf.Duration': 'D',
  'google.protobuf.Struct': 'S',
  'google.protobuf.Value': 'V',
  'google.protobuf.ListValue': 'L',
  'google.protobuf.DoubleValue': 'wd',
  'google.protobuf.FloatValue': 'wf',
  'google.protobuf.Int64Value': 'wI',
  'google.protobuf.UInt64Value': 'wU',
  'google.protobuf.Int32Value': 'wi',
  'google.protobuf.UInt32Value': 'wu',
  'google.protobuf.BoolValue': 'wb',
  'google.protobuf.StringValue': 'ws',
  'google.protobuf.BytesValue': 'wB',
};

/** Returns `{ desc, tsName, fields: Map<FieldDesc, { raw }> }[]` in a stable order, or throws with every problem. */
export function readHonoured(folder, registry) {
  const problems = [];
  const messages = [];
  for (const file of readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .sort()) {
    const list = JSON.parse(readFileSync(join(folder, file), 'utf8'));
    for (const [key, fields] of Object.entries(list)) {
      const [typeName, alias] = key.split(' as ');
      const desc = registry.getMessage(typeName);
      if (desc === undefined) problems.push(`${file}: no message ${typeName}`);
      else
        messages.push({
          desc,
          tsName: alias ?? plainName(desc),
          fields: select(desc, fields, file, problems),
        });
    }
  }
  checkNames(messages, problems);
  checkReferences(messages, problems);
  if (problems.length > 0)
    throw new Error(`the honoured lists do not hold together:\n  ${problems.join('\n  ')}`);
  return messages;
}

/** TypeScript name of a nested message or enum: `Cluster_CommonLbConfig`. */
export function plainName(desc) {
  return desc.parent === undefined ? desc.name : `${plainName(desc.parent)}_${desc.name}`;
}

function select(desc, text, file, problems) {
  const chosen = new Map();
  for (const word of text.split(' ').filter((part) => part !== '')) {
    if (word === '*') {
      for (const field of desc.fields) chosen.set(field, { raw: false });
      continue;
    }
    const [name, flag] = word.replace(/^-/, '').split(':');
    const field = desc.fields.find((candidate) => candidate.name === name);
    if (field === undefined) problems.push(`${file}: ${desc.typeName} has no field ${name}`);
    else if (word.startsWith('-')) chosen.delete(field);
    else chosen.set(field, { raw: flag === 'raw' });
  }
  return chosen;
}

function checkNames(messages, problems) {
  const byName = new Map();
  for (const { desc, tsName } of messages) {
    const other = byName.get(tsName);
    if (other !== undefined)
      problems.push(`${desc.typeName} and ${other} are both named ${tsName}: add "as Name"`);
    byName.set(tsName, desc.typeName);
  }
}

function checkReferences(messages, problems) {
  const listed = new Set(messages.map((message) => message.desc.typeName));
  for (const { desc, fields } of messages) {
    for (const field of fields.keys()) {
      const target = field.message;
      if (target === undefined || wellKnown[target.typeName] !== undefined || listed.has(target.typeName))
        continue;
      problems.push(`${desc.typeName}.${field.name} needs ${target.typeName}, which is not listed`);
    }
  }
}
