/** Every command, in the order in which help shows them. The code of each is loaded when it is called. */
import type { CommandSpec } from '../args/command-spec.ts';
import {
  allNamespacesFlag,
  fileFlags,
  meshFlags,
  namespaceFlag,
  outputFlag,
  selectorFlag,
} from '../args/flags.ts';

const structured = outputFlag(['json', 'yaml']);
const dryRunFlag = {
  name: 'dry-run',
  type: 'text',
  choices: ['client', 'server'],
  about: 'Change nothing: client judges the files alone, server asks the control plane',
} as const;
const adoptFlag = {
  name: 'adopt',
  type: 'switch',
  about: 'Take over objects that files of the mesh own',
} as const;
const nameFlags = [namespaceFlag, allNamespacesFlag, selectorFlag];

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
      {
        name: 'allow-bypass',
        type: 'switch',
        about:
          'Under STRICT, run applications that listen beyond loopback, where their sidecar can be bypassed',
      },
    ],
    load: () => import('./up.ts'),
  },
  {
    name: 'run',
    summary: 'Run one workload with its sidecar, joined to a running mesh',
    usage: '[flags] -- COMMAND [ARGUMENT…]',
    flags: [
      {
        name: 'name',
        type: 'text',
        value: 'NAME',
        about: 'Name of the workload (default: that of the program)',
      },
      namespaceFlag,
      {
        name: 'port',
        type: 'list',
        value: 'NAME:PORT',
        about: 'Port of the application; NAME alone is given one as PORT',
      },
      { name: 'labels', type: 'list', value: 'KEY=VALUE', about: 'Labels, beside app and version' },
      { name: 'service-account', type: 'text', value: 'NAME', about: 'Service account (default: the name)' },
      { name: 'readiness', type: 'text', value: 'CHECK', about: 'http:/PATH, tcp, tcp:PORT or exec:COMMAND' },
      {
        name: 'restart',
        type: 'text',
        choices: ['always', 'on-failure', 'never'],
        about: 'When it is started again (default: never)',
      },
      ...meshFlags,
    ],
    details: 'The exit status is that of the command.',
    load: () => import('./run.ts'),
  },
  {
    name: 'apply',
    summary: 'Make the mesh what files say, merging as kubectl does',
    usage: '-f FILE|DIR|-',
    flags: [...fileFlags, namespaceFlag, dryRunFlag, adoptFlag, ...meshFlags],
    load: () => import('./apply.ts'),
  },
  {
    name: 'get',
    summary: 'List resources',
    usage: 'KIND[,KIND] [NAME…] | KIND/NAME…',
    flags: [
      ...nameFlags,
      outputFlag(['table', 'wide', 'json', 'yaml', 'name']),
      { name: 'watch', short: 'w', type: 'switch', about: 'Go on as they change' },
      ...meshFlags,
    ],
    details: 'Kinds go by plural, singular or short name: svc, vs, dr, se, we, gw, httproutes, or all.',
    load: () => import('./get.ts'),
  },
  {
    name: 'describe',
    summary: 'Say what a resource is, what became of it, and who refuses it',
    usage: 'KIND [NAME…] | KIND/NAME…',
    flags: [...nameFlags, ...meshFlags],
    load: () => import('./describe.ts'),
  },
  {
    name: 'delete',
    summary: 'Delete resources',
    usage: 'KIND NAME… | KIND -l LABELS | -f FILE',
    flags: [
      ...nameFlags,
      ...fileFlags,
      { name: 'all', type: 'switch', about: 'All of the kind' },
      { name: 'ignore-not-found', type: 'switch', about: 'What is gone already is no failure' },
      dryRunFlag,
      ...meshFlags,
    ],
    load: () => import('./delete.ts'),
  },
  {
    name: 'diff',
    summary: 'Show what an apply would change',
    usage: '-f FILE|DIR|-',
    flags: [...fileFlags, namespaceFlag, adoptFlag, ...meshFlags],
    details: 'Exit status 0 without differences, 1 with some, 2 when something could not be compared.',
    load: () => import('./diff.ts'),
  },
  {
    name: 'analyze',
    summary: 'Find mistakes in files, each with its place and a stable code',
    usage: 'FILE|DIR|-…',
    flags: [
      ...fileFlags,
      namespaceFlag,
      { name: 'live', type: 'switch', about: 'Judge together with what the running mesh has' },
      {
        name: 'fail-on',
        type: 'text',
        choices: ['error', 'warning', 'notice'],
        about: 'From which severity on the exit status is 1 (default: error)',
      },
      structured,
      ...meshFlags,
    ],
    load: () => import('./analyze.ts'),
  },
  {
    name: 'status',
    summary: 'Show whether every proxy has the latest configuration, and which calls are encrypted',
    usage: '[WORKLOAD]',
    flags: [
      namespaceFlag,
      structured,
      {
        name: 'edges',
        type: 'switch',
        about: 'Show who calls whom by mutual TLS, who does not, and why',
      },
      ...meshFlags,
    ],
    details:
      'Exit status 1 when a proxy refuses something (NACK) or is not connected; with --edges, when a server\nrefuses what its client sends.',
    load: () => import('./status.ts'),
  },
  {
    name: 'proxy-config',
    summary: 'Show what a proxy itself has',
    usage: 'clusters|listeners|routes|endpoints WORKLOAD[/INSTANCE]',
    words: ['clusters', 'listeners', 'routes', 'endpoints'],
    flags: [
      namespaceFlag,
      structured,
      { name: 'name', type: 'text', value: 'NAME', about: 'Only the one of this name' },
      { name: 'fqdn', type: 'text', value: 'HOST', about: 'Only what mentions this host' },
      { name: 'port', type: 'text', value: 'PORT', about: 'Only this port' },
      ...meshFlags,
    ],
    load: () => import('./proxy-config.ts'),
  },
  {
    name: 'logs',
    summary: 'Show what applications, sidecars and the control plane wrote',
    usage: '[WORKLOAD | control]',
    flags: [
      { name: 'follow', short: 'f', type: 'switch', about: 'Go on as they grow' },
      { name: 'proxy', type: 'switch', about: 'Of the sidecar, not the application' },
      {
        name: 'tail',
        type: 'text',
        value: 'LINES',
        about: 'Lines from the end to begin with (default: 200)',
      },
      ...meshFlags,
    ],
    load: () => import('./logs.ts'),
  },
  {
    name: 'url',
    summary: 'Print where a workload is reached',
    usage: 'WORKLOAD [PORT]',
    flags: [
      namespaceFlag,
      { name: 'direct', type: 'switch', about: "The application's own port, past its sidecar" },
      ...meshFlags,
    ],
    load: () => import('./url.ts'),
  },
  {
    name: 'dashboard',
    summary: "Print a link to the mesh's page, good for one use",
    usage: '',
    flags: meshFlags,
    load: () => import('./dashboard.ts'),
  },
  {
    name: 'check',
    summary: 'Check this machine, and the mesh that runs on it',
    usage: '',
    flags: [structured, ...meshFlags],
    load: () => import('./check.ts'),
  },
  {
    name: 'backup',
    summary: 'Copy the state of the control plane to a file, while it runs',
    usage: 'FILE',
    flags: meshFlags,
    load: async () => (await import('./state-file.ts')).backup,
  },
  {
    name: 'restore',
    summary: 'Put a backup in place of the state, while nothing runs',
    usage: 'FILE',
    flags: meshFlags,
    load: async () => (await import('./state-file.ts')).restore,
  },
  {
    name: 'bug-report',
    summary: 'Gather states, configuration and logs in an archive, without secrets',
    usage: '[FILE]',
    flags: meshFlags,
    load: () => import('./bug-report.ts'),
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
  {
    name: 'completion',
    summary: 'Print a completion script for a shell',
    usage: 'bash|zsh|fish',
    words: ['bash', 'zsh', 'fish'],
    flags: [],
    load: async () => (await import('./completion.ts')).completionOf(commands),
  },
  {
    name: 'version',
    summary: 'Print the versions of this program and of what runs',
    usage: '',
    flags: [{ name: 'client', type: 'switch', about: 'Of this program only' }, structured, ...meshFlags],
    load: () => import('./version.ts'),
  },
];
