import { describe, expect, test } from 'bun:test';
import { parseCommandLine, usage } from '../command-line.ts';
import { identityFlags } from './identity-options.ts';

const parse = (...args: string[]) => parseCommandLine(['-c', 'a.yaml', ...args]);
const identity = (...args: string[]) => {
  const parsed = parse(...args);
  if (parsed.kind !== 'run') throw new Error(JSON.stringify(parsed));
  return parsed.options.identity;
};
const problems = (...args: string[]): readonly string[] => {
  const parsed = parse(...args);
  return parsed.kind === 'error' ? parsed.problems : [];
};

describe('flags of the identity agent', () => {
  test('without an authority there is none', () => {
    expect(identity()).toBeNull();
    expect(problems('--identity-dir', '/x')).toEqual(['--identity-dir has a meaning only with --ca-address']);
  });

  test('an authority, a token and defaults', () => {
    expect(identity('--ca-address', '127.0.0.1:15012', '--identity-token-file', 't')).toEqual({
      authority: { host: '127.0.0.1', port: 15012 },
      tokenFile: 't',
      rootFile: null,
      dir: null,
      spiffeId: '',
      keyKind: 'ecdsa-p256',
      allowExpiredRenewalMs: 0,
    });
  });

  test('everything', () => {
    expect(
      identity(
        '--ca-address',
        '[::1]:15012',
        '--ca-root-file',
        'r',
        '--identity-dir',
        'd',
        '--spiffe-id',
        'spiffe://a/ns/b/sa/c',
        '--identity-key',
        'rsa-2048',
        '--allow-expired-renewal-s',
        '172800',
      ),
    ).toEqual({
      authority: { host: '::1', port: 15012 },
      tokenFile: null,
      rootFile: 'r',
      dir: 'd',
      spiffeId: 'spiffe://a/ns/b/sa/c',
      keyKind: 'rsa-2048',
      allowExpiredRenewalMs: 172_800_000,
    });
  });

  test.each([
    ['127.0.0.1', '--ca-address must be host:port, not "127.0.0.1"'],
    ['a:0', '--ca-address must be host:port, not "a:0"'],
    ['::1:15012', '--ca-address must be host:port, not "::1:15012"'],
    ['https://a:1', '--ca-address must be host:port, not "https://a:1"'],
  ])('the authority "%s" is refused', (address, problem) => {
    expect(problems('--ca-address', address, '--identity-dir', 'd')).toEqual([problem]);
  });

  test('all mistakes are told at once', () => {
    expect(
      problems(
        '--ca-address',
        'ca:15012',
        '--spiffe-id',
        'http://a',
        '--identity-key',
        'dsa',
        '--allow-expired-renewal-s',
        '-1',
      ),
    ).toEqual([
      '--ca-address needs --identity-token-file, or --identity-dir with a certificate in it',
      '--spiffe-id: a SPIFFE ID begins with spiffe://',
      '--identity-key must be one of ecdsa-p256, ecdsa-p384, rsa-2048, rsa-3072, rsa-4096, not "dsa"',
      '--allow-expired-renewal-s must be a whole number, not "-1"',
    ]);
  });

  test('each is in the usage', () => {
    for (const flag of [...identityFlags, 'allow-secret-path']) expect(usage).toContain(`--${flag} `);
  });

  test('files that remote configuration may read add up', () => {
    const parsed = parse('--allow-secret-path', '/a', '--allow-secret-path=/b');
    expect(parsed.kind === 'run' ? parsed.options.allowedSecretPaths : []).toEqual(['/a', '/b']);
  });
});
