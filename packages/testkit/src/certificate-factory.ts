/**
 * Certificates for tests: a mesh authority (root and intermediate) and leaves below it, right ones and every wrong
 * kind that a peer must refuse. Times are relative to `nowMs`, so that tests with a fake clock can use them too.
 */
import {
  certificatePem,
  chainPem,
  createIntermediate,
  createRoot,
  crlPem,
  exportPrivateKey,
  generateKeySync,
  isProblem,
  issueCertificate,
  issueCrl,
  parseCertificate,
  spiffeId,
  type Authority,
  type Certificate,
  type CertificateTemplate,
  type KeyKind,
  type KeyPair,
} from '@sluice/identity';

export interface TestAuthorityOptions {
  readonly trustDomain?: string;
  readonly name?: string;
  readonly nowMs?: number;
  readonly keyKind?: KeyKind;
  /** Leaves are signed by the root itself. */
  readonly isFlat?: boolean;
}

export interface TestLeafOptions extends Partial<
  Pick<CertificateTemplate, 'dnsSans' | 'ipSans' | 'uriSans' | 'usages' | 'subject'>
> {
  readonly namespace?: string;
  readonly account?: string;
  readonly notBeforeMs?: number;
  readonly notAfterMs?: number;
  readonly keyKind?: KeyKind;
}

export interface TestLeaf {
  readonly certificate: Certificate;
  readonly key: KeyPair;
  /** PKCS#8. */
  readonly keyPem: string;
  readonly certificatePem: string;
  /** Leaf first, without the root. */
  readonly chainPem: string;
  readonly spiffeId: string;
}

const hourMs = 3_600_000;
const yearMs = 365 * 24 * hourMs;

export class TestAuthority {
  readonly trustDomain: string;
  readonly nowMs: number;
  readonly root: Authority;
  /** What signs leaves; the root itself when flat. */
  readonly signing: Authority;
  readonly #keyKind: KeyKind;

  constructor(options: TestAuthorityOptions = {}) {
    const {
      trustDomain = 'cluster.local',
      name = 'test',
      nowMs = Date.now(),
      keyKind = 'ecdsa-p256',
    } = options;
    this.trustDomain = trustDomain;
    this.nowMs = nowMs;
    this.#keyKind = keyKind;
    const spec = (commonName: string) => ({
      organization: trustDomain,
      commonName,
      notBeforeMs: nowMs - hourMs,
      notAfterMs: nowMs + 10 * yearMs,
    });
    this.root = createRoot(generateKeySync(keyKind), spec(`${name} root`));
    this.signing = options.isFlat
      ? this.root
      : createIntermediate(this.root, generateKeySync(keyKind), spec(`${name} intermediate`));
  }

  /** What peers trust. */
  get rootPem(): string {
    return certificatePem(this.root.certificate);
  }

  /** A leaf valid from an hour ago for a day, for `spiffe://…/ns/NAMESPACE/sa/ACCOUNT` unless `uriSans` say else. */
  leaf(options: TestLeafOptions = {}): TestLeaf {
    const key = generateKeySync(options.keyKind ?? this.#keyKind);
    const id = spiffeId(this.trustDomain, options.namespace ?? 'default', options.account ?? 'default');
    const certificate = parseCertificate(
      issueCertificate(this.signing, {
        spki: key.spki,
        notBeforeMs: options.notBeforeMs ?? this.nowMs - hourMs,
        notAfterMs: options.notAfterMs ?? this.nowMs + 24 * hourMs,
        uriSans: options.uriSans ?? [id],
        dnsSans: options.dnsSans ?? [],
        ipSans: options.ipSans ?? [],
        ...(options.usages === undefined ? {} : { usages: options.usages }),
        ...(options.subject === undefined ? {} : { subject: options.subject }),
      }),
    );
    if (isProblem(certificate))
      throw new Error(`a test certificate that cannot be read: ${certificate.message}`);
    const chain = this.signing === this.root ? [certificate] : [certificate, this.signing.certificate];
    return {
      certificate,
      key,
      keyPem: exportPrivateKey(key),
      certificatePem: certificatePem(certificate),
      chainPem: chainPem(chain),
      spiffeId: certificate.uriSans[0] ?? '',
    };
  }

  expiredLeaf(options: TestLeafOptions = {}): TestLeaf {
    return this.leaf({ ...options, notBeforeMs: this.nowMs - hourMs, notAfterMs: this.nowMs - 60_000 });
  }

  notYetValidLeaf(options: TestLeafOptions = {}): TestLeaf {
    return this.leaf({ ...options, notBeforeMs: this.nowMs + hourMs, notAfterMs: this.nowMs + 24 * hourMs });
  }

  /** The same names from an authority that nobody trusts. */
  foreignLeaf(options: TestLeafOptions = {}): TestLeaf {
    return new TestAuthority({ trustDomain: this.trustDomain, name: 'foreign', nowMs: this.nowMs }).leaf(
      options,
    );
  }

  /** Trusted, but somebody else. */
  otherIdentityLeaf(): TestLeaf {
    return this.leaf({ namespace: 'elsewhere', account: 'somebody-else' });
  }

  /** The revocation list of the signing authority, in PEM. */
  crl(revoked: readonly TestLeaf[], number = 1): string {
    return crlPem(
      issueCrl(this.signing, {
        number,
        thisUpdateMs: this.nowMs,
        nextUpdateMs: this.nowMs + yearMs,
        revoked: revoked.map(({ certificate }) => ({ serial: certificate.serial, revokedMs: this.nowMs })),
      }),
    );
  }
}
