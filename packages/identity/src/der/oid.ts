/** Object identifiers that X.509 needs, each with where it is assigned. */

export const oids = {
  // RFC 5480 §2.1, SEC 2
  ecPublicKey: '1.2.840.10045.2.1',
  // RFC 5758 §3.2
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  ecdsaWithSha384: '1.2.840.10045.4.3.3',
  ecdsaWithSha512: '1.2.840.10045.4.3.4',
  // RFC 8017 appendix A.2.4
  sha256WithRsa: '1.2.840.113549.1.1.11',
  sha384WithRsa: '1.2.840.113549.1.1.12',
  sha512WithRsa: '1.2.840.113549.1.1.13',
  // RFC 8410 §3
  ed25519: '1.3.101.112',
  // RFC 2985 §5.4.2
  extensionRequest: '1.2.840.113549.1.9.14',
  // RFC 5280 §4.2.1
  subjectKeyId: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  crlNumber: '2.5.29.20',
  crlReason: '2.5.29.21',
  issuingDistributionPoint: '2.5.29.28',
  deltaCrlIndicator: '2.5.29.27',
  nameConstraints: '2.5.29.30',
  certificatePolicies: '2.5.29.32',
  authorityKeyId: '2.5.29.35',
  extKeyUsage: '2.5.29.37',
  anyExtKeyUsage: '2.5.29.37.0',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  // RFC 4519 §2
  commonName: '2.5.4.3',
  serialNumber: '2.5.4.5',
  country: '2.5.4.6',
  locality: '2.5.4.7',
  stateOrProvince: '2.5.4.8',
  street: '2.5.4.9',
  organization: '2.5.4.10',
  organizationalUnit: '2.5.4.11',
  domainComponent: '0.9.2342.19200300.100.1.25',
  userId: '0.9.2342.19200300.100.1.1',
  emailAddress: '1.2.840.113549.1.9.1',
} as const;

/** Attribute names of RFC 4514 §3, and `emailAddress`, which everybody writes though it is not in that table. */
export const attributeNames: ReadonlyMap<string, string> = new Map([
  [oids.commonName, 'CN'],
  [oids.serialNumber, 'serialNumber'],
  [oids.country, 'C'],
  [oids.locality, 'L'],
  [oids.stateOrProvince, 'ST'],
  [oids.street, 'STREET'],
  [oids.organization, 'O'],
  [oids.organizationalUnit, 'OU'],
  [oids.domainComponent, 'DC'],
  [oids.userId, 'UID'],
  [oids.emailAddress, 'emailAddress'],
]);
