import { expect, test } from 'bun:test';
import { TestAuthority } from '@sluice/testkit';
import { ClusterTable, createMessage, parseJsonMessage, SecretTable, type Cluster } from '@sluice/xds';
import { certificateContexts } from './certificate-contexts.ts';

const authority = new TestAuthority();
const [own, other] = [authority.leaf(), authority.leaf()];

const certificate = (name: string, of: typeof own) =>
  createMessage(SecretTable, {
    name,
    tlsCertificate: {
      certificateChain: { inlineString: of.chainPem },
      privateKey: { inlineString: of.keyPem },
    },
  });
const bundle = createMessage(SecretTable, {
  name: 'ROOTCA',
  validationContext: { trustedCa: { inlineString: authority.rootPem } },
});

function cluster(name: string, common_tls_context: object): Cluster {
  const type = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext';
  return parseJsonMessage(ClusterTable, {
    name,
    transport_socket: { name: 'tls', typed_config: { '@type': type, common_tls_context } },
  });
}

const mesh = {
  tls_certificate_sds_secret_configs: [{ name: 'default' }],
  combined_validation_context: {
    default_validation_context: {},
    validation_context_sds_secret_config: { name: 'ROOTCA' },
  },
};

test('contexts of the same certificates are one entry; own certificates and unused secrets have theirs', () => {
  const inline = {
    tls_certificates: [
      {
        certificate_chain: { inline_string: other.chainPem },
        private_key: { inline_string: other.keyPem },
      },
    ],
    validation_context: { trusted_ca: { inline_string: authority.rootPem } },
  };
  const messages = [cluster('a', mesh), cluster('b', mesh), cluster('c', inline)];
  const unused = certificate('unused', authority.leaf());
  const contexts = certificateContexts(messages, [certificate('default', own), bundle, unused]);
  expect(
    contexts.map(({ authorities, chain }) => [
      authorities.map((one) => one.path),
      chain.map((one) => one.path),
    ]),
  ).toEqual([
    [['<secret ROOTCA>'], ['<secret default>', '<secret default>']],
    [['<inline>'], ['<inline>', '<inline>']],
    [[], ['<secret unused>', '<secret unused>']],
  ]);
});

test('a renewed certificate takes the place of the old one', () => {
  const messages = [cluster('a', mesh)];
  const serial = (of: typeof own) =>
    certificateContexts(messages, [certificate('default', of), bundle])[0]?.chain[0]?.certificate
      .serialNumber;
  expect(serial(own)?.toLowerCase()).toBe(own.certificate.serial);
  expect(serial(other)?.toLowerCase()).toBe(other.certificate.serial);
});

test('what has not arrived is not there', () => {
  expect(certificateContexts([cluster('a', mesh)], [])).toEqual([]);
});
