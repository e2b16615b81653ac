import { afterEach, describe, expect, test } from 'bun:test';
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cleanUp, fakeTime, makeTempDir, TestAuthority } from '@sluice/testkit';
import {
  ClusterTable,
  createMessage,
  ListenerTable,
  parseJsonMessage,
  SecretTable,
  UnhonouredReport,
  type Listener,
  type Secret,
} from '@sluice/xds';
import type { ToLoop } from '../data-loop.ts';
import { ConfigStore } from './config-store.ts';
import { SecretActivation, type SecretSource } from './secret-activation.ts';
import { secretsOf } from './secret-references.ts';
import { textOf } from './secret-judgement.ts';
import { WatchedFiles } from './watched-files.ts';

afterEach(cleanUp);

const socketType = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3';
const authority = new TestAuthority({ nowMs: Date.UTC(2026, 0, 1) });
const leaf = authority.leaf();
const other = authority.leaf();

function certificate(name: string, chain: object, key: object): Secret {
  return createMessage(SecretTable, { name, tlsCertificate: { certificateChain: chain, privateKey: key } });
}
const good = (name: string, of = leaf): Secret =>
  certificate(name, { inlineString: of.chainPem }, { inlineBytes: Buffer.from(of.keyPem) });

function world(rules: { allowedPaths?: string[]; environment?: Record<string, string> } = {}) {
  const time = fakeTime();
  const sent: ToLoop[] = [];
  const arrived: string[] = [];
  const refused: string[] = [];
  const replaced: string[] = [];
  const store = new ConfigStore();
  const secrets = new SecretActivation({
    mode: 'reject',
    rules: { allowedPaths: rules.allowedPaths ?? [], environment: rules.environment ?? {} },
    files: new WatchedFiles(time.wheel),
    store,
    timers: time.wheel,
    wallMs: () => time.clock.wallMs(),
    send: (message) => void sent.push(message),
    changed: () => undefined,
    warn: () => undefined,
    wentWithout: () => undefined,
    arrived: (name) => void arrived.push(name),
    removed: (name) => void arrived.push(`-${name}`),
    absent: (name) => void arrived.push(`no ${name}`),
    replaced: (kind, name) => void replaced.push(`${kind}/${name}`),
    refused: (name, reason) => void refused.push(`${name}: ${reason}`),
  });
  const put = (secret: Secret, source: SecretSource = 'ads', version = 'v1') =>
    secrets.put(secret, version, null, source);
  return { time, sent, arrived, refused, replaced, store, secrets, put };
}

describe('a secret', () => {
  test('goes to the loops once for each version, every source inline', () => {
    const w = world();
    expect(w.put(good('a'))).toBeNull();
    expect(w.put(good('a'))).toBeNull();
    expect(w.put(good('a', other), 'ads', 'v2')).toBeNull();
    expect(w.sent).toMatchObject([
      { kind: 'putSecret', name: 'a', version: 'v1' },
      { kind: 'putSecret', name: 'a', version: 'v2' },
    ]);
    w.secrets.remove('a');
    expect(w.sent.at(-1)).toEqual({ kind: 'removeSecret', name: 'a' });
    expect(w.arrived).toEqual(['a', 'a', '-a']);
  });

  test.each([
    [
      'a key of another certificate',
      certificate('a', { inlineString: leaf.chainPem }, { inlineString: other.keyPem }),
      'tls_certificate.private_key: does not belong to the certificate',
    ],
    [
      'no key',
      createMessage(SecretTable, {
        name: 'a',
        tlsCertificate: { certificateChain: { inlineString: leaf.chainPem } },
      }),
      'tls_certificate.private_key: is missing',
    ],
    [
      'what is no PEM',
      certificate('a', { inlineString: 'hello' }, { inlineString: leaf.keyPem }),
      'tls_certificate.certificate_chain: holds no certificate in PEM',
    ],
    [
      'an expired certificate',
      good('a', authority.expiredLeaf()),
      'tls_certificate.certificate_chain: has expired (Dec 31 23:59:00 2025 GMT)',
    ],
    [
      'a bundle that is none',
      createMessage(SecretTable, {
        name: 'a',
        validationContext: { trustedCa: { inlineString: '-----BEGIN ' } },
      }),
      'validation_context.trusted_ca: a PEM block without the end of its first line',
    ],
    [
      'a revocation list that is none',
      createMessage(SecretTable, {
        name: 'a',
        validationContext: {
          trustedCa: { inlineString: authority.rootPem },
          crl: { inlineString: authority.rootPem },
        },
      }),
      'validation_context.crl: holds no revocation list in PEM',
    ],
    [
      'nothing',
      createMessage(SecretTable, { name: 'a' }),
      'must hold a tls_certificate or a validation_context',
    ],
  ])('with %s is refused, and the last good one stays', (_, secret, reason) => {
    const w = world();
    w.put(good('a'));
    expect(w.put(secret, 'ads', 'v2')).toBe(reason);
    expect(w.sent).toHaveLength(1);
    expect(w.secrets.get('a')).not.toBeNull();
    expect(w.store.get('secret', 'a')?.rejected).toMatchObject({ version: 'v2', reason });
    expect(reason).not.toContain('PRIVATE');
  });

  test('with a good bundle and revocation list is taken', () => {
    const w = world();
    const secret = createMessage(SecretTable, {
      name: 'ROOTCA',
      validationContext: {
        trustedCa: { inlineString: authority.rootPem },
        crl: { inlineString: authority.crl([other]) },
      },
    });
    expect(w.put(secret)).toBeNull();
  });

  test('has one source; the agent’s bundle makes way for the control plane’s, its certificate does not', () => {
    const w = world();
    w.secrets.reserve('default', 'ROOTCA');
    const bundle = (pem: string) =>
      createMessage(SecretTable, { name: 'ROOTCA', validationContext: { trustedCa: { inlineString: pem } } });
    expect(w.put(good('static'), 'static')).toBeNull();
    expect(w.put(good('static', other))).toContain('comes from another source (static)');
    expect(w.put(good('default'), 'agent')).toBeNull();
    expect(w.put(good('default', other))).toContain('comes from the identity agent alone');
    expect(w.put(bundle(authority.rootPem), 'agent')).toBeNull();
    const next = new TestAuthority({ name: 'next', nowMs: authority.nowMs }).rootPem;
    expect(w.put(bundle(next), 'ads', 'v9')).toBeNull();
    expect(w.put(bundle(authority.rootPem), 'agent', 'v10')).toBeNull();
    expect(textOf(w.secrets.get('ROOTCA')?.validationContext?.trustedCa)).toBe(next);
    w.secrets.remove('ROOTCA');
    expect(w.secrets.has('ROOTCA')).toBe(true);
    expect([...w.secrets.follow([])]).toEqual(['ROOTCA']);
  });
});

describe('files', () => {
  function files() {
    const dir = makeTempDir();
    const write = (of: typeof leaf): void => {
      for (const [name, text] of [
        ['chain.pem', of.chainPem],
        ['key.pem', of.keyPem],
      ] as const) {
        writeFileSync(join(dir, `${name}.new`), text);
        renameSync(join(dir, `${name}.new`), join(dir, name));
      }
    };
    const secret = certificate('a', { filename: join(dir, 'chain.pem') }, { filename: join(dir, 'key.pem') });
    return { dir, write, secret };
  }

  test('are not read for remote configuration, unless the flag allows them', () => {
    const { dir, write, secret } = files();
    write(leaf);
    const line = 'remote configuration may read no files here; --allow-secret-path names exceptions';
    expect(world().put(secret)).toBe(
      `tls_certificate.certificate_chain.filename: ${line}\ntls_certificate.private_key.filename: ${line}`,
    );
    expect(world({ allowedPaths: [dir] }).put(secret)).toBeNull();
    expect(world({ allowedPaths: [join(dir, 'chain.pem')] }).put(secret)).toContain('private_key.filename');
    const outside = makeTempDir();
    mkdirSync(join(outside, 'allowed'));
    symlinkSync(join(dir, 'key.pem'), join(outside, 'allowed', 'key.pem'));
    const linked = certificate(
      'a',
      { inlineString: leaf.chainPem },
      { filename: join(outside, 'allowed', 'key.pem') },
    );
    expect(world({ allowedPaths: [join(outside, 'allowed')] }).put(linked)).toContain('may read no files');
  });

  test('the environment is the operator’s alone', () => {
    const secret = certificate('a', { inlineString: leaf.chainPem }, { environmentVariable: 'KEY' });
    const w = world({ environment: { KEY: leaf.keyPem } });
    expect(w.put(secret)).toContain('may not read the environment');
    expect(w.put(secret, 'static')).toBeNull();
    expect(world().put(secret, 'static')).toContain('KEY is not set');
  });

  test('are read again when they are replaced; halves of a pair change nothing', () => {
    const { dir, write, secret } = files();
    write(leaf);
    const w = world();
    expect(w.put(secret, 'static')).toBeNull();
    w.time.advance(1_000);
    expect(w.sent).toHaveLength(1);
    writeFileSync(join(dir, 'next.pem'), other.chainPem);
    renameSync(join(dir, 'next.pem'), join(dir, 'chain.pem'));
    w.time.advance(1_000);
    expect(w.sent).toHaveLength(1);
    expect(w.refused).toEqual(['a: tls_certificate.private_key: does not belong to the certificate']);
    write(other);
    w.time.advance(1_000);
    expect(w.sent).toHaveLength(2);
    expect(textOf(w.secrets.get('a')?.tlsCertificate?.certificateChain)).toBe(other.chainPem);
  });

  test('that were missing are taken when they come', () => {
    const { write, secret } = files();
    const w = world();
    expect(w.put(secret, 'static')).toContain('ENOENT');
    write(leaf);
    w.time.advance(1_000);
    expect(w.secrets.has('a')).toBe(true);
  });

  test('may come with a watched directory, which is no field without effect', () => {
    const report = new UnhonouredReport();
    const watched_directory = { path: '/etc/certs' };
    parseJsonMessage(SecretTable, { name: 'a', tls_certificate: { watched_directory } }, report);
    parseJsonMessage(SecretTable, { name: 'b', validation_context: { watched_directory } }, report);
    expect(report.entries).toEqual([]);
  });

  test('hold secrets in the form of a discovery response, followed as well', () => {
    const dir = makeTempDir();
    const path = join(dir, 'sds.yaml');
    const write = (of: typeof leaf): void => {
      const tls_certificate = {
        certificate_chain: { inline_string: of.chainPem },
        private_key: { inline_string: of.keyPem },
      };
      writeFileSync(
        path,
        JSON.stringify({ resources: [{ '@type': `${socketType}.Secret`, name: 'file', tls_certificate }] }),
      );
    };
    write(leaf);
    const w = world();
    const message = listener({ sds: { name: 'file', sds_config: { path_config_source: { path } } } });
    expect(w.secrets.inline('listener', message, 'v1', true).rejection).toBeNull();
    expect(w.secrets.inline('listener', message, 'v1', false).rejection).toContain('may read no files');
    expect(w.secrets.missingFor(message)).toHaveLength(1);
    expect([...w.secrets.follow([message])]).toEqual([]);
    expect(w.secrets.missingFor(message)).toHaveLength(0);
    write(other);
    w.time.advance(1_000);
    expect(textOf(w.secrets.get('file')?.tlsCertificate?.certificateChain)).toBe(other.chainPem);
    w.secrets.follow([]);
    expect(w.secrets.has('file')).toBe(false);
  });
});

describe('what listeners and clusters name', () => {
  test('is found in all chains, sockets and matches, and asked for over ADS', () => {
    const sds = (name: string, source: object = { ads: {} }) => ({ name, sds_config: source });
    const message = parseJsonMessage(ClusterTable, {
      name: 'c',
      transport_socket: upstream({ validation_context_sds_secret_config: sds('ROOTCA') }),
      transport_socket_matches: [
        {
          name: 'm',
          transport_socket: upstream({
            tls_certificate_sds_secret_configs: [sds('default', { ads: {}, initial_fetch_timeout: '0s' })],
            combined_validation_context: {
              default_validation_context: {},
              validation_context_sds_secret_config: sds('kubernetes://x-cacert'),
            },
          }),
        },
      ],
    });
    expect(secretsOf(message).map(({ name, fetchTimeoutMs }) => [name, fetchTimeoutMs])).toEqual([
      ['ROOTCA', 15_000],
      ['default', 0],
      ['kubernetes://x-cacert', 15_000],
    ]);
    const w = world();
    expect([...w.secrets.follow([message])]).toEqual(['ROOTCA', 'default', 'kubernetes://x-cacert']);
    w.secrets.reserve('default', 'ROOTCA');
    expect([...w.secrets.follow([message])].sort()).toEqual(['ROOTCA', 'kubernetes://x-cacert']);
    w.put(good('kubernetes://x-cacert'));
    w.secrets.forgetUnwanted(new Set());
    expect(w.secrets.has('kubernetes://x-cacert')).toBe(false);
  });

  test('is not waited for where the control plane has none of the name, until it is named again', () => {
    const message = listener({ sds: { name: 'a', sds_config: { ads: {} } } });
    const w = world();
    w.secrets.follow([message]);
    expect(w.secrets.awaitedBy(message)).toHaveLength(1);
    w.secrets.remove('a');
    w.secrets.remove('a');
    w.secrets.remove('somebody else’s');
    expect(w.arrived).toEqual(['no a']);
    expect([w.secrets.missingFor(message), w.secrets.awaitedBy(message)]).toMatchObject([
      [{ name: 'a' }],
      [],
    ]);
    w.put(good('a'));
    expect(w.secrets.isAbsent('a')).toBe(false);
    w.secrets.remove('a');
    expect(w.arrived).toEqual(['no a', 'a', '-a', 'no a']);
    w.secrets.follow([]);
    w.secrets.follow([message]);
    expect(w.secrets.awaitedBy(message)).toHaveLength(1);
  });

  test('is waited for all the same where nothing is to go on without it', () => {
    const message = listener({ sds: { name: 'a', sds_config: { ads: {}, initial_fetch_timeout: '0s' } } });
    const w = world();
    w.secrets.follow([message]);
    w.secrets.remove('a');
    expect(w.secrets.isAbsent('a')).toBe(true);
    expect(w.secrets.awaitedBy(message)).toMatchObject([{ name: 'a' }]);
  });

  test('must exist when it is static, and come by a way that is known', () => {
    const w = world();
    const reasons = [
      listener({ sds: { name: 'absent' } }),
      listener({ sds: { name: 'x', sds_config: { api_config_source: { api_type: 'GRPC' } } } }),
    ].map((message) => w.secrets.inline('listener', message, 'v1', true).rejection);
    const path =
      'filter_chains[0].transport_socket.typed_config.common_tls_context.tls_certificate_sds_secret_configs[0]';
    expect(reasons).toEqual([
      `${path}.name: there is no static secret "absent"`,
      `${path}.sds_config: secrets come by ads, from a path_config_source or from static secrets`,
    ]);
  });

  test('a listener’s own files are read in, and a new version made when they are replaced', () => {
    const dir = makeTempDir();
    const path = join(dir, 'chain.pem');
    writeFileSync(path, leaf.chainPem);
    const message = listener({
      own: { certificate_chain: { filename: path }, private_key: { inline_string: leaf.keyPem } },
    });
    const w = world();
    const first = w.secrets.inline('listener', message, 'v1', true);
    expect(first.rejection).toBeNull();
    expect(first.version).not.toBe('v1');
    expect(JSON.stringify(first.message)).not.toContain(path);
    expect(JSON.stringify(message)).toContain(path);
    writeFileSync(`${path}.new`, other.chainPem);
    renameSync(`${path}.new`, path);
    w.time.advance(1_000);
    expect(w.replaced).toEqual(['listener/l']);
    expect(w.secrets.inline('listener', message, 'v1', true).version).not.toBe(first.version);
    w.secrets.release('listener', 'l');
    writeFileSync(path, 'gone on');
    w.time.advance(1_000);
    expect(w.replaced).toHaveLength(1);
  });
});

function upstream(common: object): object {
  return {
    name: 'tls',
    typed_config: { '@type': `${socketType}.UpstreamTlsContext`, common_tls_context: common },
  };
}

function listener(context: { sds?: object; own?: object }): Listener {
  const common_tls_context = {
    ...(context.sds === undefined ? {} : { tls_certificate_sds_secret_configs: [context.sds] }),
    ...(context.own === undefined ? {} : { tls_certificates: [context.own] }),
  };
  const typed_config = { '@type': `${socketType}.DownstreamTlsContext`, common_tls_context };
  return parseJsonMessage(ListenerTable, {
    name: 'l',
    filter_chains: [{ transport_socket: { name: 'tls', typed_config } }],
  });
}
