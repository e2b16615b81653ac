/** Every command, in the order in which help shows them. The code of each is loaded when it is called. */
import type { CommandSpec } from '../args/command-spec.ts';

export const commands: readonly CommandSpec[] = [
  {
    name: 'up',
    summary: 'Run a whole local mesh from sluice.yaml, until Ctrl-C',
    usage: '[DIR]',
    flags: [
      {
        name: 'state-dir',
        type: 'text',
        value: 'DIR',
        about: 'Where state and logs are kept (default: DIR/.sluice)',
      },
      {
        name: 'plain',
        type: 'switch',
        about: 'Run the plain command of each workload, not its alternatives',
      },
    ],
    load: () => import('./up.ts'),
  },
  {
    name: 'control',
    summary: 'Run the control plane alone',
    usage: '[flags of the control plane]',
    flags: [],
    isPassedThrough: true,
    load: async () => (await import('./pass-through.ts')).passThrough('control'),
  },
  {
    name: 'proxy',
    summary: 'Run a proxy from an Envoy bootstrap file',
    usage: '-c FILE [flags of the proxy]',
    flags: [],
    isPassedThrough: true,
    load: async () => (await import('./pass-through.ts')).passThrough('proxy'),
  },
];
