/** docs/config.md, written from the schemas and the support table: what is documented is what is checked. */
import { kinds } from './kinds.ts';
import { objectSchemas } from './schema/registry.ts';
import { sluiceFile } from './schema/sluice-file.ts';
import { listFields, type FieldInfo } from './schema/walk.ts';
import { supportTable, type SupportEntry } from './support/lookup.ts';

const introduction = `# Configuration

Generated from the schemas; do not edit. Fields that are not honoured yet are refused by name, never ignored.
*required* stands where there is no default. \`[]\` means each item of a list, \`{}\` each value of a map.
`;

/** The whole document. */
export function renderConfigDocs(): string {
  const support = new Map(supportTable().map((entry) => [`${entry.kind}#${entry.path}`, entry]));
  const sections = [
    section('sluice.yaml', 'The file of a local mesh.', listFields(sluiceFile), support),
    ...Object.entries(objectSchemas).map(([kind, schema]) => {
      const fields = listFields(schema).filter((field) => !isCommon(field.pattern));
      return section(titleOf(kind), versionsOf(kind), fields, support, kind);
    }),
  ];
  return [introduction, kindTable(), ...sections].join('\n');
}

function kindTable(): string {
  const words = { honoured: 'honoured', later: 'not yet', skipped: 'left alone' } as const;
  const rows = kinds.map(
    (info) =>
      `| ${info.kind} | ${info.group || 'core'} | ${info.versions.join(', ')} | ${words[info.support]} |`,
  );
  return ['## Kinds', '', '| kind | group | versions | |', '|---|---|---|---|', ...rows, ''].join('\n');
}

function section(
  title: string,
  about: string,
  fields: readonly FieldInfo[],
  support: ReadonlyMap<string, SupportEntry>,
  kind = 'sluice.yaml',
): string {
  const rows = fields.map((field) => row(field, support.get(`${kind}#${field.pattern}`)));
  return [
    `## ${title}`,
    '',
    about,
    '',
    '| field | type | default | | meaning |',
    '|---|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}

function row(field: FieldInfo, support: SupportEntry | undefined): string {
  const { about = '', deprecated } = field.meta;
  const meaning = deprecated === undefined ? about : `${about} (deprecated: ${deprecated})`;
  const otherwise = field.isRequired ? '*required*' : (field.meta.default ?? '');
  return `| \`${field.pattern}\` | ${cell(field.type)} | ${cell(otherwise)} | ${supportWords(support)} | ${cell(meaning)} |`;
}

function supportWords(support: SupportEntry | undefined): string {
  if (support?.laterValues !== undefined) return `not yet: ${support.laterValues.join(', ')}`;
  return support?.support === 'later' ? 'not yet' : support?.support === 'unused' ? 'unused' : '';
}

/** A bar would end the cell. */
function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}

function isCommon(pattern: string): boolean {
  return /^(?:apiVersion|kind|metadata|status)\b/.test(pattern);
}

function titleOf(kind: string): string {
  const [group, name] = kind.split('/');
  return group === '' || group === undefined ? `${name}` : `${name} (${group})`;
}

function versionsOf(kind: string): string {
  const info = kinds.find((info) => `${info.group}/${info.kind}` === kind);
  return `Versions ${info?.versions.join(', ') ?? ''}; stored as ${info?.version ?? ''}.`;
}
