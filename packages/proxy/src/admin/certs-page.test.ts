import { describe, expect, test } from 'bun:test';
import { X509Certificate } from 'node:crypto';
import { createMessage, SecretTable } from '@sluice/xds';
import { TestAuthority } from '@sluice/testkit';
import { certsPage, daysUntilFirstExpiry, type ShownCertificate } from './certs-page.ts';
import { configDumpPage } from './config-dump.ts';
import { NOW_MS, TestSource } from './test-source.ts';

const dayMs = 86_400_000;
const authority = new TestAuthority({ nowMs: NOW_MS });
const leaf = authority.leaf({
  dnsSans: ['a.example', '*.b.example'],
  ipSans: ['127.0.0.1'],
  notAfterMs: NOW_MS + 10.5 * dayMs,
});
const shown = (pem: string): ShownCertificate => ({
  certificate: new X509Certificate(pem),
  path: '<inline>',
});
const contexts = [{ authorities: [shown(authority.rootPem)], chain: [shown(leaf.certificatePem)] }];

describe('/certs', () => {
  test('shows authorities and chain as Envoy does', () => {
    const page = JSON.parse(String(certsPage(contexts, NOW_MS).body)) as unknown;
    expect(page).toEqual({
      certificates: [
        {
          ca_cert: [
            {
              path: '<inline>',
              serial_number: authority.root.certificate.serial,
              subject_alt_names: [],
              days_until_expiration: '3650',
              valid_from: '2026-11-23T09:00:00Z',
              expiration_time: '2036-11-20T10:00:00Z',
            },
          ],
          cert_chain: [
            {
              path: '<inline>',
              serial_number: leaf.certificate.serial,
              subject_alt_names: [
                { dns: 'a.example' },
                { dns: '*.b.example' },
                { uri: 'spiffe://cluster.local/ns/default/sa/default' },
                { ip_address: '127.0.0.1' },
              ],
              days_until_expiration: '10',
              valid_from: '2026-11-23T09:00:00Z',
              expiration_time: '2026-12-03T22:00:00Z',
            },
          ],
        },
      ],
    });
  });

  test('the first of all ends counts, in whole days and never below none', () => {
    expect(daysUntilFirstExpiry(contexts, NOW_MS)).toBe(10);
    expect(daysUntilFirstExpiry(contexts, NOW_MS + 20 * dayMs)).toBe(0);
    expect(daysUntilFirstExpiry([], NOW_MS)).toBeNull();
  });
});

test('/config_dump shows secrets without their keys, refusals with their reason', () => {
  const secret = createMessage(SecretTable, {
    name: 'kubernetes://gateway',
    tlsCertificate: {
      certificateChain: { inlineString: leaf.chainPem },
      privateKey: { inlineBytes: Buffer.from(leaf.keyPem) },
    },
  });
  const entry = {
    isStatic: false,
    state: 'active',
    version: 'v1',
    updatedMs: NOW_MS,
    unhonoured: [],
    rejected: null,
  } as const;
  const rejected = { details: 'private_key: does not belong', version: 'v2', atMs: NOW_MS };
  const state = {
    ...new TestSource().config(),
    secrets: [
      { ...entry, name: 'kubernetes://gateway', message: secret },
      { ...entry, name: 'broken', message: null, rejected },
    ],
  };
  const body = String(configDumpPage(state, new URLSearchParams('resource=dynamic_active_secrets')).body);
  expect(JSON.parse(body)).toMatchObject({
    configs: [
      {
        '@type': 'type.googleapis.com/envoy.admin.v3.SecretsConfigDump.DynamicSecret',
        name: 'kubernetes://gateway',
        version_info: 'v1',
        secret: {
          tls_certificate: {
            certificate_chain: { inline_string: leaf.chainPem },
            private_key: { inline_bytes: '[redacted]' },
          },
        },
      },
    ],
  });
  const whole = String(configDumpPage(state, new URLSearchParams()).body);
  expect(whole).not.toContain('PRIVATE KEY');
  expect(whole).not.toContain(Buffer.from(leaf.keyPem).toString('base64'));
  expect(whole).toContain('private_key: does not belong');
});
