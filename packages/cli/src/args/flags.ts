/** Flags that several commands share, so that they look and mean the same everywhere. */
import type { FlagSpec } from './parse.ts';

export const meshFlags: readonly FlagSpec[] = [
  {
    name: 'state-dir',
    type: 'text',
    value: 'DIR',
    about: 'State directory of the mesh (default: .sluice from here upwards)',
  },
  {
    name: 'server',
    type: 'text',
    value: 'URL',
    about: 'API of a control plane, such as http://127.0.0.1:15080',
  },
  { name: 'token-file', type: 'text', value: 'FILE', about: 'File with the token for --server' },
];

export const namespaceFlag: FlagSpec = {
  name: 'namespace',
  short: 'n',
  type: 'text',
  value: 'NAMESPACE',
  about: 'Namespace (default: default)',
};

export const allNamespacesFlag: FlagSpec = {
  name: 'all-namespaces',
  short: 'A',
  type: 'switch',
  about: 'All namespaces',
};

export const selectorFlag: FlagSpec = {
  name: 'selector',
  short: 'l',
  type: 'text',
  value: 'LABELS',
  about: 'Only what carries these labels: a=b,c!=d,e in (f,g)',
};

export const fileFlags: readonly FlagSpec[] = [
  {
    name: 'filename',
    short: 'f',
    type: 'list',
    value: 'FILE|DIR|-',
    about: 'File, folder, or - for standard input; may be repeated',
  },
  { name: 'recursive', short: 'R', type: 'switch', about: 'Folders inside folders too' },
];

export function outputFlag(choices: readonly string[]): FlagSpec {
  return {
    name: 'output',
    short: 'o',
    type: 'text',
    choices,
    about: 'Form of the output (default: a table)',
  };
}
