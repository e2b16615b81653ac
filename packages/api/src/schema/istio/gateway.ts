/** networking.istio.io Gateway and the server TLS settings that it shares with Sidecar ingress. */
import { z } from 'zod';
import { optional, required } from '../field.ts';
import { flag, nonEmpty, port, stringMap, text, textList } from '../primitives.ts';

const tlsVersion = z.enum(['TLS_AUTO', 'TLSV1_0', 'TLSV1_1', 'TLSV1_2', 'TLSV1_3']);

export const serverTls = z.strictObject({
  httpsRedirect: optional(flag, 'Answer plain HTTP with a redirect to HTTPS', { default: 'false' }),
  mode: optional(
    z.enum(['PASSTHROUGH', 'SIMPLE', 'MUTUAL', 'AUTO_PASSTHROUGH', 'ISTIO_MUTUAL', 'OPTIONAL_MUTUAL']),
    'How TLS connections are treated',
    { default: 'SIMPLE' },
  ),
  serverCertificate: optional(text, 'File with the certificate'),
  privateKey: optional(text, 'File with its key'),
  caCertificates: optional(text, 'File with authorities that clients are verified by'),
  caCrl: optional(text, 'File with revoked certificates'),
  credentialName: optional(text, 'Secret with key and certificate'),
  credentialNames: optional(textList.max(2), 'Secrets, one RSA and one ECDSA'),
  caCertCredentialName: optional(text, 'Secret with the authorities'),
  tlsCertificates: optional(
    z
      .array(
        z.strictObject({
          serverCertificate: optional(text, 'File with the certificate'),
          privateKey: optional(text, 'File with its key'),
          caCertificates: optional(text, 'File with authorities'),
        }),
      )
      .max(2),
    'Certificates, one RSA and one ECDSA',
  ),
  subjectAltNames: optional(textList, 'Names of which the client must prove one'),
  verifyCertificateSpki: optional(textList, 'Hashes of accepted client keys'),
  verifyCertificateHash: optional(textList, 'Hashes of accepted client certificates'),
  insecureSkipVerify: optional(flag, 'Do not verify client certificates', { default: 'false' }),
  minProtocolVersion: optional(tlsVersion, 'Lowest version', { default: 'TLSV1_2' }),
  maxProtocolVersion: optional(tlsVersion, 'Highest version'),
  cipherSuites: optional(textList, 'Cipher suites'),
});

const server = z.strictObject({
  name: optional(text, 'Name of the server'),
  port: required(
    z.strictObject({
      number: required(port, 'Port number'),
      protocol: required(nonEmpty, 'HTTP, HTTPS, GRPC, GRPC-WEB, HTTP2, MONGO, TCP or TLS'),
      name: required(nonEmpty, 'Port name'),
      targetPort: optional(port, 'Not used', { deprecated: 'remove it' }),
    }),
    'Port that the server listens on',
  ),
  bind: optional(text, 'Address or unix socket', { default: '0.0.0.0' }),
  hosts: required(
    textList.min(1, 'must name at least one host'),
    'Hosts as namespace/name; wildcards allowed',
  ),
  tls: optional(serverTls, 'TLS'),
  defaultEndpoint: optional(text, 'Not used', { deprecated: 'remove it' }),
});

export const istioGatewaySpec = z.strictObject({
  servers: optional(z.array(server), 'Servers of the gateway'),
  selector: optional(stringMap, 'Labels of the gateway workloads'),
});
export type IstioGatewaySpec = z.infer<typeof istioGatewaySpec>;
