import { expect, test } from 'bun:test';
import { TestAuthority } from '@sluice/testkit';
import { secretRows } from './secret-rows.ts';
import { renderTable } from './table.ts';

const nowMs = Date.UTC(2026, 10, 23, 10);
const authority = new TestAuthority({ nowMs });
const leaf = authority.leaf();
const old = authority.expiredLeaf();

test('secrets are shown with their ends and serials, from our dump and from Envoy’s', () => {
  const dump = {
    configs: [
      { '@type': 'type.googleapis.com/envoy.admin.v3.ClustersConfigDump' },
      {
        '@type': 'type.googleapis.com/envoy.admin.v3.SecretsConfigDump',
        static_secrets: [
          {
            name: 'old',
            secret: { tls_certificate: { certificate_chain: { inline_string: old.chainPem } } },
          },
        ],
        dynamic_active_secrets: [
          {
            name: 'default',
            secret: {
              '@type': 'x',
              tls_certificate: {
                certificate_chain: { inline_bytes: Buffer.from(leaf.chainPem).toString('base64') },
                private_key: { inline_bytes: '[redacted]' },
              },
            },
          },
          {
            name: 'ROOTCA',
            secret: { validation_context: { trusted_ca: { inline_string: authority.rootPem } } },
            error_state: { details: 'no' },
          },
        ],
        dynamic_warming_secrets: [
          { name: 'kubernetes://gone', error_state: { details: 'never good' } },
          { name: 'kubernetes://never-made', client_status: 'DOES_NOT_EXIST' },
        ],
      },
    ],
  };
  const { head, rows } = secretRows(dump, nowMs);
  expect(rows.map(({ cells }) => cells)).toEqual([
    [
      'ROOTCA',
      'CA',
      'ACTIVE, last update refused',
      'true',
      authority.root.certificate.serial,
      '2036-11-20T10:00:00Z',
      '2026-11-23T09:00:00Z',
    ],
    [
      'default',
      'Cert Chain',
      'ACTIVE',
      'true',
      leaf.certificate.serial,
      '2026-11-24T10:00:00Z',
      '2026-11-23T09:00:00Z',
    ],
    ['kubernetes://gone', '', 'WARMING, last update refused', 'false', '', '', ''],
    ['kubernetes://never-made', '', 'DOES NOT EXIST', 'false', '', '', ''],
    [
      'old',
      'Cert Chain',
      'ACTIVE',
      'false',
      old.certificate.serial,
      '2026-11-23T09:59:00Z',
      '2026-11-23T09:00:00Z',
    ],
  ]);
  expect(renderTable(head, [rows[1]?.cells ?? []])).toStartWith('RESOURCE NAME');
});
