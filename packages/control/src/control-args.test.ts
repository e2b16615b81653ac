import { expect, test } from 'bun:test';
import { controlUsage, parseControlArgs } from './control-args.ts';

test('nothing given is a control plane on loopback with its state beside it', () => {
  expect(parseControlArgs([])).toEqual({
    ok: true,
    args: {
      stateDir: '.sluice',
      resources: [],
      meshConfig: undefined,
      xdsAddress: '127.0.0.1:15010',
      apiAddress: '127.0.0.1:15080',
      metricsAddress: '127.0.0.1:15014',
      logLevel: 'info',
      logFormat: 'text',
    },
  });
});

test('flags come with a space or an equals sign, resources more than once', () => {
  const parsed = parseControlArgs([
    '--resources',
    'a',
    '--resources=b',
    '--log-level=warn',
    '--mesh-config',
    'sluice.yaml',
  ]);
  expect(parsed).toMatchObject({
    ok: true,
    args: { resources: ['a', 'b'], logLevel: 'warning', meshConfig: 'sluice.yaml' },
  });
});

test('what is wrong is said with what was probably meant', () => {
  const message = (...argv: string[]): string => {
    const parsed = parseControlArgs(argv);
    return parsed.ok ? '' : parsed.message;
  };
  expect(message('--resource', 'x')).toBe('--resource is not a flag; did you mean --resources?');
  expect(message('folder')).toBe('unexpected argument folder');
  expect(message('--state-dir')).toBe('--state-dir needs a value');
  expect(message('--state-dir', 'a', '--state-dir', 'b')).toBe('--state-dir is given twice');
  expect(message('--log-level', 'loud')).toContain('is not a level');
  expect(message('--log-format', 'xml')).toContain('is not a format');
});

test('the usage names every flag', () => {
  for (const flag of ['--state-dir', '--resources', '--mesh-config', '--log-format'])
    expect(controlUsage).toContain(flag);
});
