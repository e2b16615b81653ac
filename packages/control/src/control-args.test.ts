import { expect, test } from 'bun:test';
import { defaultAuthoritySettings } from './authority/authority-settings.ts';
import { controlUsage, parseControlArgs } from './control-args.ts';
import { identityFlags } from './identity-args.ts';

test('nothing given is a control plane on loopback with its state beside it', () => {
  expect(parseControlArgs([])).toEqual({
    ok: true,
    args: {
      stateDir: '.sluice',
      resources: [],
      optionalResources: [],
      meshConfig: undefined,
      xdsAddress: '127.0.0.1:15010',
      apiAddress: '127.0.0.1:15080',
      metricsAddress: '127.0.0.1:15014',
      identity: {
        secureAddress: '127.0.0.1:15012',
        names: { dnsSans: [], ipSans: [] },
        authorityDir: undefined,
        settings: defaultAuthoritySettings,
        serviceAccounts: undefined,
      },
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
  for (const flag of ['--state-dir', '--resources', '--mesh-config', '--log-format', ...identityFlags])
    expect(controlUsage).toContain(flag);
});

test('identity: lengths of life, an operator’s authority, service-account tokens', () => {
  const parsed = parseControlArgs([
    '--leaf-ttl=1h',
    '--expired-renewal',
    '48h',
    '--ca-dir=ca',
    '--secure-name=mesh.example',
    '--secure-name=10.0.0.7',
    '--jwt-issuer=https://issuer',
    '--jwt-keys=keys.json',
  ]);
  expect(parsed).toMatchObject({
    ok: true,
    args: {
      identity: {
        names: { dnsSans: ['mesh.example'], ipSans: ['10.0.0.7'] },
        authorityDir: 'ca',
        settings: { leafTtlMs: 3_600_000, expiredRenewalMs: 48 * 3_600_000 },
        serviceAccounts: { issuer: 'https://issuer', audience: 'istio-ca', jwks: 'keys.json' },
      },
    },
  });
});

test('identity settings that do not fit together are refused', () => {
  const message = (...argv: string[]): string => {
    const parsed = parseControlArgs(argv);
    return parsed.ok ? '' : parsed.message;
  };
  expect(message('--leaf-ttl=0')).toContain('is not a duration');
  expect(message('--leaf-ttl=2h', '--max-leaf-ttl=1h')).toBe('--max-leaf-ttl is less than --leaf-ttl');
  expect(message('--jwt-issuer=x')).toBe('--jwt-issuer and --jwt-keys go together');
  expect(message('--jwt-audience=x')).toContain('only with --jwt-issuer');
});
