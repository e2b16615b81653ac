/** TLS contexts: what they accept of configuration, whom they let in, and what a changed secret does. */
import { describe, expect, test } from 'bun:test';
import { TestAuthority, type TestLeaf } from '@sluice/testkit';
import { formatProblem, newProblems } from '../config/problems.ts';
import type { Connection } from '../io/connection.ts';
import { isTlsFailure, type HandshakeOutcome, type TlsSettings } from '../io/tls-context.ts';
import { compileDownstreamTls } from './downstream-tls.ts';
import {
  authority,
  certificate,
  downstream,
  factsWith,
  hello,
  leafSecret,
  nowMs,
  outcome,
  rootSecret,
  testEnvironment,
  upstream,
  type TestEnvironment,
  shown,
} from './test-peers.test-double.ts';
import { compileUpstreamTls, UpstreamTls } from './upstream-tls.ts';

const server = authority.leaf({ account: 'server' });
const client = authority.leaf({ account: 'client' });
const roots = { trusted_ca: { inline_string: authority.rootPem } };

function serverTls(json: object, environment = testEnvironment()) {
  const scope = newProblems();
  const { tls, served } = compileDownstreamTls(downstream(json), '0.0.0.0:443', environment, scope);
  return { tls, served, environment, problems: scope.problems.map(formatProblem) };
}

function judging(validation: object, more: object = {}) {
  return serverTls({
    common_tls_context: { tls_certificates: [certificate(server)], validation_context: validation },
    ...more,
  }).tls;
}

function settingsOf(value: ReturnType<ReturnType<typeof judging>['settingsFor']>): TlsSettings {
  if (isTlsFailure(value)) throw new Error(value.reason);
  return value;
}

describe('configuration', () => {
  const params = (tls_params: object): string[] =>
    serverTls({ common_tls_context: { tls_certificates: [certificate(server)], tls_params } }).problems;

  test('versions, suites and groups that the engine has are taken, others refused by name', () => {
    expect(
      params({
        tls_minimum_protocol_version: 'TLSv1_2',
        cipher_suites: ['[ECDHE-ECDSA-AES128-GCM-SHA256|ECDHE-ECDSA-CHACHA20-POLY1305]', 'AES128-SHA'],
        ecdh_curves: ['X25519', 'P-256'],
      }),
    ).toEqual([]);
    expect(
      params({
        tls_minimum_protocol_version: 'TLSv1_3',
        tls_maximum_protocol_version: 'TLSv1_2',
        cipher_suites: ['TLS_AES_256_GCM_SHA384', 'RC4-MD5'],
        ecdh_curves: ['secp112r1'],
      }),
    ).toEqual([
      'common_tls_context.tls_params.tls_minimum_protocol_version: is above the maximum: no version is left',
      'common_tls_context.tls_params.cipher_suites[0]: "TLS_AES_256_GCM_SHA384": the suites of TLS 1.3 cannot be chosen, all three are always offered',
      'common_tls_context.tls_params.cipher_suites[1]: "RC4-MD5" is not a suite that this proxy has',
      'common_tls_context.tls_params.ecdh_curves[0]: "secp112r1" is not a group that this proxy has',
    ]);
  });

  test('a server without a certificate, a client with two, names that nobody can have', () => {
    expect(serverTls({}).problems).toEqual(['common_tls_context: a server needs a certificate']);
    const scope = newProblems();
    const two = [certificate(server), certificate(client)];
    compileUpstreamTls(
      upstream({ common_tls_context: { tls_certificates: two, alpn_protocols: [''] } }),
      scope,
    );
    expect(scope.problems.map(formatProblem)).toEqual([
      'common_tls_context.alpn_protocols[0]: must have 1 to 255 octets',
      'common_tls_context.tls_certificates: a client has one certificate at most',
    ]);
  });

  test('a matcher that cannot be applied is an error, since without it anybody would be let in', () => {
    const { problems } = serverTls({
      common_tls_context: {
        tls_certificates: [certificate(server)],
        validation_context: {
          ...roots,
          match_typed_subject_alt_names: [
            { san_type: 'OTHER_NAME', matcher: { exact: 'x' } },
            { san_type: 'URI' },
            { san_type: 'URI', matcher: { safe_regex: { regex: '(' } } },
          ],
        },
      },
    });
    expect(problems.map((problem) => problem.split(': ')[0])).toEqual([
      'common_tls_context.validation_context.match_typed_subject_alt_names[0].san_type',
      'common_tls_context.validation_context.match_typed_subject_alt_names[1].matcher',
      'common_tls_context.validation_context.match_typed_subject_alt_names[2].matcher.safe_regex.regex',
    ]);
  });

  test('an error never repeats a key', () => {
    const bad = {
      certificate_chain: { inline_string: 'nonsense' },
      private_key: { inline_string: 'SECRET' },
    };
    const { problems } = serverTls({ common_tls_context: { tls_certificates: [bad] } });
    expect(problems.length).toBeGreaterThan(0);
    expect(problems.join()).not.toContain('SECRET');
  });
});

describe('which certificate a server shows', () => {
  const named = (name: string, keyKind: 'ecdsa-p256' | 'rsa-2048' = 'ecdsa-p256') =>
    authority.leaf({ dnsSans: [name], uriSans: [], keyKind });
  const leaves = {
    first: named('first.test'),
    exact: named('a.test'),
    wild: named('*.test'),
    rsa: named('a.test', 'rsa-2048'),
  };
  const { tls } = serverTls({
    common_tls_context: { tls_certificates: Object.values(leaves).map(certificate) },
  });
  const shown = (serverName: string, acceptsEcdsa = true): string => {
    const { credential } = settingsOf(tls.settingsFor(hello({ serverName, acceptsEcdsa })));
    return Object.entries(leaves).find(([, leaf]) => leaf.chainPem === credential!.chainPem)![0];
  };

  test('exact before wildcard, ECDSA before RSA where the client can, else the first', () => {
    expect(['a.test', 'b.test', 'x.b.test', 'other.example', ''].map((name) => shown(name))).toEqual([
      'exact',
      'wild',
      'first',
      'first',
      'first',
    ]);
    expect(shown('a.test', false)).toBe('rsa');
    expect(shown('other.example', false)).toBe('first');
    const scanning = serverTls({
      common_tls_context: { tls_certificates: Object.values(leaves).map(certificate) },
      full_scan_certs_on_sni_mismatch: true,
    }).tls;
    const found = settingsOf(
      scanning.settingsFor(hello({ serverName: 'other.example', acceptsEcdsa: false })),
    );
    expect(found.credential!.chainPem).toBe(leaves.rsa.chainPem);
  });

  test('a server name can be required', () => {
    const strict = serverTls({
      common_tls_context: { tls_certificates: [certificate(server)] },
      require_sni: true,
    }).tls;
    expect(strict.settingsFor(hello())).toMatchObject({ kind: 'protocol' });
    expect(isTlsFailure(strict.settingsFor(hello({ serverName: 'a' })))).toBe(false);
  });

  test('equal settings are one object, so that the engine makes one context', () => {
    const environment = testEnvironment();
    const make = () =>
      serverTls({ common_tls_context: { tls_certificates: [certificate(server)] } }, environment).tls;
    expect(make().settingsFor(hello())).toBe(make().settingsFor(hello()));
  });
});

describe('who is let in', () => {
  const kindOf = (tls: ReturnType<typeof judging>, ...[leaf, more]: Parameters<typeof outcome>): string =>
    tls.judge(outcome(leaf, more), settingsOf(tls.settingsFor(hello())))?.kind ?? 'accepted';

  test('a required certificate, an optional one, none asked for', () => {
    expect(kindOf(judging(roots, { require_client_certificate: true }), null)).toBe('no-certificate');
    expect(kindOf(judging(roots), null)).toBe('accepted');
    const indifferent = serverTls({ common_tls_context: { tls_certificates: [certificate(server)] } }).tls;
    expect(settingsOf(indifferent.settingsFor(hello())).asksForCertificate).toBe(false);
    expect(kindOf(indifferent, null)).toBe('accepted');
  });

  test('the verdict of the engine counts, unless chains are not judged', () => {
    const error = { chainError: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' };
    expect(kindOf(judging(roots), client, error)).toBe('untrusted');
    expect(kindOf(judging({ ...roots, trust_chain_verification: 'ACCEPT_UNTRUSTED' }), client, error)).toBe(
      'accepted',
    );
    expect(kindOf(judging({ verify_certificate_hash: [client.certificate.sha256] }), client, error)).toBe(
      'accepted',
    );
  });

  test('an expired certificate may be allowed, a foreign one that has expired may not', () => {
    const allowing = judging({ ...roots, allow_expired_certificate: true });
    const error = { chainError: 'CERT_HAS_EXPIRED' };
    expect(kindOf(judging(roots), authority.expiredLeaf(), error)).toBe('untrusted');
    expect(kindOf(allowing, authority.expiredLeaf(), error)).toBe('accepted');
    const foreign = authority.foreignLeaf({ notBeforeMs: nowMs - 10, notAfterMs: nowMs - 5 });
    expect(kindOf(allowing, foreign, error)).toBe('untrusted');
  });

  test('a resumed session whose certificate has expired meanwhile is refused', () => {
    const expired = authority.expiredLeaf();
    expect(kindOf(judging(roots), expired, { isResumed: true })).toBe('untrusted');
    expect(kindOf(judging(roots), client, { isResumed: true })).toBe('accepted');
  });

  test('pins: either kind is enough', () => {
    const { spkiSha256, sha256 } = client.certificate;
    const pinned = judging({
      ...roots,
      verify_certificate_spki: ['no'],
      verify_certificate_hash: [sha256.toUpperCase().replace(/(..)(?=.)/g, '$1:')],
    });
    expect([kindOf(pinned, client), kindOf(pinned, server)]).toEqual(['accepted', 'hash']);
    expect(kindOf(judging({ ...roots, verify_certificate_spki: [spkiSha256] }), client)).toBe('accepted');
  });

  test('names by type and pattern; exact DNS names take a wildcard of one label', () => {
    const leaf = authority.leaf({
      uriSans: ['spiffe://cluster.local/ns/a/sa/b'],
      dnsSans: ['*.shop.test'],
      ipSans: ['10.0.0.1'],
    });
    const typed = (san_type: string, matcher: object): string =>
      kindOf(judging({ ...roots, match_typed_subject_alt_names: [{ san_type, matcher }] }), leaf);
    expect(typed('DNS', { exact: 'a.shop.test' })).toBe('accepted');
    expect(typed('DNS', { exact: 'a.b.shop.test' })).toBe('san');
    expect(typed('DNS', { exact: 'shop.test' })).toBe('san');
    expect(typed('DNS', { suffix: '.shop.test' })).toBe('accepted');
    expect(typed('URI', { prefix: 'spiffe://cluster.local/ns/a/' })).toBe('accepted');
    expect(typed('URI', { exact: '*.shop.test' })).toBe('san');
    expect(typed('IP_ADDRESS', { exact: '10.0.0.1' })).toBe('accepted');
    expect(typed('URI', { safe_regex: { regex: 'spiffe://[^/]+/ns/./sa/b' } })).toBe('accepted');
    const any = (...matchers: object[]): string =>
      kindOf(judging({ ...roots, match_subject_alt_names: matchers }), leaf);
    expect(any({ exact: 'nobody' }, { contains: '/sa/b' })).toBe('accepted');
    expect(any({ exact: 'nobody' })).toBe('san');
  });

  test('a revoked certificate, an intermediate too, by lists that their issuer signed', () => {
    const crl = authority.crl([client]);
    const judge = (text: string, leaf = client): string =>
      kindOf(judging({ ...roots, crl: { inline_string: text } }), leaf);
    expect([judge(crl), judge(crl, server)]).toEqual(['revoked', 'accepted']);
    // A list in the name of our authority that somebody else signed.
    const forged = new TestAuthority({ nowMs });
    expect(judge(forged.crl([client]))).toBe('accepted');
  });

  test('a revoked certificate, among more roots than a chain may be long and some that are none', () => {
    const flat = new TestAuthority({ nowMs, name: 'flat', isFlat: true });
    const others = Array.from(
      { length: 20 },
      (_, i) => new TestAuthority({ nowMs, name: `root ${i}` }).rootPem,
    );
    const unreadable = '-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n';
    const revoked = flat.leaf({ account: 'client' });
    const tls = judging({
      trusted_ca: { inline_string: [...others, unreadable, flat.rootPem].join('') },
      crl: { inline_string: flat.crl([revoked]) },
    });
    // Without the root that the engine finds for it.
    const peer = shown(revoked);
    expect(kindOf(tls, revoked, { peer, isResumed: true })).toBe('revoked');
  });
});

describe('secrets', () => {
  const sds = { sds_config: { ads: {} } };
  const fromSecrets = {
    common_tls_context: {
      tls_certificate_sds_secret_configs: [{ name: 'default', ...sds }],
      combined_validation_context: {
        default_validation_context: { match_subject_alt_names: [{ prefix: 'spiffe://cluster.local/' }] },
        validation_context_sds_secret_config: { name: 'ROOTCA', ...sds },
      },
    },
    require_client_certificate: true,
  };

  function withSecrets(environment: TestEnvironment, leaf = server): void {
    environment.secrets.put('default', '1', leafSecret('default', leaf));
    environment.secrets.put('ROOTCA', '1', rootSecret('ROOTCA'));
  }

  test('until they arrive handshakes are refused with the name; then they count, and the newest at once', () => {
    const { tls, environment } = serverTls(fromSecrets);
    expect(tls.settingsFor(hello())).toEqual({
      kind: 'no-credential',
      reason: 'the secret "default" (certificate) has not arrived',
    });
    withSecrets(environment);
    const before = settingsOf(tls.settingsFor(hello()));
    expect(before.credential!.chainPem).toBe(server.chainPem);
    const renewed = authority.leaf({ account: 'server' });
    environment.secrets.put('default', '2', leafSecret('default', renewed));
    const after = settingsOf(tls.settingsFor(hello()));
    expect(after.credential!.chainPem).toBe(renewed.chainPem);
    expect(after.credential!.generation).not.toBe(before.credential!.generation);
    expect(tls.judge(outcome(client), after)).toBeNull();
    const stranger = authority.leaf({ uriSans: ['spiffe://elsewhere/ns/a/sa/b'] });
    expect(tls.judge(outcome(stranger), after)?.kind).toBe('san');
    environment.secrets.remove('ROOTCA');
    expect(tls.settingsFor(hello())).toMatchObject({ kind: 'no-credential' });
  });

  test('a handshake that began with other roots is judged by those of its end', () => {
    const { tls, environment } = serverTls(fromSecrets);
    withSecrets(environment);
    const began = settingsOf(tls.settingsFor(hello()));
    const judge = (given: HandshakeOutcome): string => {
      const now = tls.asOfNow?.(given, began) ?? given;
      const verdict = tls.judge(now, began);
      // What is told of the connection must not differ from why it was let in.
      return (
        verdict?.reason ?? (now.chainError === null ? 'accepted' : 'accepted, and told to be unverified')
      );
    };
    const next = new TestAuthority({ nowMs, name: 'next' });
    const ofNext = (leaf: TestLeaf, chainError: string | null): HandshakeOutcome => {
      const peer = shown(leaf, next.signing.certificate.der);
      return outcome(leaf, { peer, chainError });
    };
    const unknown = 'UNABLE_TO_VERIFY_LEAF_SIGNATURE';
    const fresh = ofNext(next.leaf({ account: 'client' }), unknown);
    expect(judge(fresh)).toContain(unknown);
    environment.secrets.put('ROOTCA', '2', rootSecret('ROOTCA', '', authority.rootPem + next.rootPem));
    expect([judge(fresh), judge(outcome(client))]).toEqual(['accepted', 'accepted']);
    environment.secrets.put('ROOTCA', '3', rootSecret('ROOTCA', '', next.rootPem));
    expect(judge(outcome(client))).toContain(unknown);
    expect(judge(ofNext(next.expiredLeaf(), unknown))).toContain('CERT_HAS_EXPIRED');
    expect(judge(ofNext(next.leaf({ account: 'client', usages: ['server'] }), unknown))).toContain(unknown);
  });

  test('an unchanged state of the secrets costs no work', () => {
    const { tls, environment } = serverTls(fromSecrets);
    withSecrets(environment);
    const settings = tls.settingsFor(hello());
    expect(tls.settingsFor(hello())).toBe(settings);
    environment.secrets.put('of somebody else', '1', leafSecret('of somebody else', client));
    expect(tls.settingsFor(hello())).toBe(settings);
  });

  test('the key of a pool changes with the credential, not with the roots', () => {
    const environment = testEnvironment();
    withSecrets(environment, client);
    const { require_client_certificate: _server, ...common } = fromSecrets;
    const tls = new UpstreamTls(compileUpstreamTls(upstream(common), newProblems()), environment, 'c');
    const first = tls.key();
    environment.secrets.put('ROOTCA', '2', rootSecret('ROOTCA', authority.crl([])));
    expect(tls.key()).toBe(first);
    environment.secrets.put('default', '2', leafSecret('default', authority.leaf({ account: 'client' })));
    expect(tls.key()).not.toBe(first);
  });

  describe('established connections', () => {
    function secured(peer = client) {
      const { tls, served, environment } = serverTls(fromSecrets);
      withSecrets(environment);
      const { credential } = settingsOf(tls.settingsFor(hello()));
      const events: string[] = [];
      const connection = {
        tls: factsWith(peer, credential!.generation),
        isOpen: true,
        onceClosed: null as Connection['onceClosed'],
        terminate() {
          events.push('terminated');
          this.onceClosed?.(this as never);
        },
      };
      tls.onSecured(connection);
      served(connection as never, { drain: () => void events.push('drained') });
      return { environment, events, connection };
    }

    test('of a renewed certificate are drained in their time, once', () => {
      const { environment, events } = secured();
      environment.secrets.put('default', '2', leafSecret('default', authority.leaf({ account: 'server' })));
      environment.secrets.put('default', '3', leafSecret('default', authority.leaf({ account: 'server' })));
      expect([events, environment.later.length]).toEqual([[], 1]);
      environment.later[0]!();
      expect(events).toEqual(['drained']);
    });

    test('of a revoked peer are closed at once, others stay', () => {
      const { environment, events } = secured();
      const other = secured(authority.leaf({ account: 'other' }));
      for (const one of [environment, other.environment])
        one.secrets.put('ROOTCA', '2', rootSecret('ROOTCA', authority.crl([client])));
      expect([events, other.events]).toEqual([['terminated'], []]);
      expect(environment.counted).toEqual(['revoked-connection']);
      expect([environment.connections.size, other.environment.connections.size]).toEqual([0, 1]);
    });

    test('of a peer whose root was taken away are drained; an added root changes nothing', () => {
      const { environment, events } = secured();
      const another = new TestAuthority({
        nowMs,
        name: 'next',
      });
      environment.secrets.put('ROOTCA', '2', rootSecret('ROOTCA', '', authority.rootPem + another.rootPem));
      expect(environment.later.length).toBe(0);
      environment.secrets.put('ROOTCA', '3', rootSecret('ROOTCA', '', another.rootPem));
      environment.later[0]!();
      expect(events).toEqual(['drained']);
    });

    test('that have closed are forgotten', () => {
      const { environment, connection } = secured();
      connection.onceClosed!(connection as never);
      expect(environment.connections.size).toBe(0);
    });
  });
});
