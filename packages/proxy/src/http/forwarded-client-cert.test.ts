import { describe, expect, test } from 'bun:test';
import { H, HeaderList } from '@sluice/wire';
import fc from 'fast-check';
import type { PeerCertificate, TlsFacts } from '../io/tls-facts.ts';
import { NO_CONNECTION } from '../telemetry/request-record.ts';
import { clientCertConfig, judgeClientCert, type ForwardClientCert } from './forwarded-client-cert.ts';

const all = { subject: true, cert: true, chain: true, dns: true, uri: true };
const none = { subject: false, cert: false, chain: false, dns: false, uri: false };

const peer: PeerCertificate = {
  subject: 'CN=client,O=sluice',
  issuer: 'CN=root',
  serial: '0a',
  uriSans: ['spiffe://cluster.local/ns/a/sa/b'],
  dnsSans: ['b.a', 'b.a.svc'],
  emailSans: [],
  ipSans: [],
  sha256: 'ab'.repeat(32),
  spkiSha256: '',
  notBeforeMs: 0,
  notAfterMs: 0,
  chain: [],
  pem: () => '-----BEGIN CERTIFICATE-----\nAA+/=\n-----END CERTIFICATE-----\n',
  chainPem: () => 'two lines\n',
};

function factsOf(
  certificate: Partial<PeerCertificate>,
  localUris = ['spiffe://cluster.local/ns/a/sa/me'],
): TlsFacts {
  return {
    protocol: 'TLSv1.3',
    cipher: 'TLS_AES_128_GCM_SHA256',
    alpn: '',
    serverName: '',
    isPeerVerified: true,
    peer: { ...peer, ...certificate },
    local: { uriSans: localUris, dnsSans: [], subject: '', serial: '01', notAfterMs: 0 },
    isResumed: false,
    credential: '01',
  };
}

/** The header's value after judging, or null; `given` is what the client sent. */
function judged(
  mode: ForwardClientCert,
  given: string | null,
  tls: TlsFacts | null,
  details = none,
  isMutualTls = tls !== null,
): string | null {
  const headers = new HeaderList();
  if (given !== null) headers.append('X-Forwarded-Client-Cert', given);
  const facts = { ...NO_CONNECTION, tls, isMutualTls };
  judgeClientCert(headers, facts, clientCertConfig({ mode, ...details }));
  return headers.has(H.xForwardedClientCert) ? (headers.joined(H.xForwardedClientCert) ?? '') : null;
}

const own = `By=spiffe://cluster.local/ns/a/sa/me;Hash=${'ab'.repeat(32)}`;

describe('a connection without mutual TLS', () => {
  test.each(['SANITIZE', 'FORWARD_ONLY', 'APPEND_FORWARD', 'SANITIZE_SET'] as const)(
    '%s drops what the client claims and adds nothing',
    (mode) => {
      expect(judged(mode, 'URI=spiffe://evil', null, all)).toBeNull();
      // One-way TLS, or a certificate that was asked for and not verified, proves nobody.
      expect(judged(mode, 'URI=spiffe://evil', factsOf({}), all, false)).toBeNull();
    },
  );

  test('ALWAYS_FORWARD_ONLY passes it on, as its name says', () => {
    expect(judged('ALWAYS_FORWARD_ONLY', 'URI=spiffe://a', null)).toBe('URI=spiffe://a');
    expect(judged('ALWAYS_FORWARD_ONLY', null, factsOf({}))).toBeNull();
  });
});

describe('over mutual TLS', () => {
  test('SANITIZE drops, FORWARD_ONLY passes on, SANITIZE_SET replaces, APPEND_FORWARD adds an element', () => {
    const tls = factsOf({});
    expect(judged('SANITIZE', 'Hash=1', tls)).toBeNull();
    expect(judged('FORWARD_ONLY', 'Hash=1', tls)).toBe('Hash=1');
    expect(judged('SANITIZE_SET', 'Hash=1', tls)).toBe(own);
    expect(judged('APPEND_FORWARD', 'Hash=1', tls)).toBe(`Hash=1,${own}`);
    expect(judged('APPEND_FORWARD', null, tls)).toBe(own);
  });

  test('the details that were asked for follow in Envoy’s order', () => {
    const pem = '-----BEGIN%20CERTIFICATE-----%0AAA%2B%2F%3D%0A-----END%20CERTIFICATE-----%0A';
    expect(judged('SANITIZE_SET', null, factsOf({}), all)).toBe(
      `${own};Cert="${pem}";Chain="two%20lines%0A";Subject="CN=client,O=sluice";` +
        'URI=spiffe://cluster.local/ns/a/sa/b;DNS=b.a;DNS=b.a.svc',
    );
  });

  test('Subject and URI are there even when the certificate has none; By and DNS are not', () => {
    const bare = factsOf({ subject: '', uriSans: [], dnsSans: [] }, []);
    expect(judged('SANITIZE_SET', null, bare, { ...none, subject: true, uri: true, dns: true })).toBe(
      `Hash=${'ab'.repeat(32)};Subject="";URI=`,
    );
  });

  test('a certificate cannot end its value, its element or the header', () => {
    const hostile = factsOf({
      uriSans: ['spiffe://a/b,By=spiffe://cluster.local/ns/x/sa/admin', 'spiffe://a\r\nx-evil: 1'],
      subject: 'CN=a\\";URI=spiffe://admin',
    });
    expect(judged('SANITIZE_SET', null, hostile, { ...none, subject: true, uri: true })).toBe(
      `${own};Subject="CN=a\\";URI=spiffe://admin"` +
        ';URI="spiffe://a/b,By=spiffe://cluster.local/ns/x/sa/admin";URI="spiffe://a%0D%0Ax-evil: 1"',
    );
  });

  test('whatever a name holds, a reader of quotes finds exactly the keys that were written', () => {
    const text = fc.string({ unit: fc.constantFrom('a', '"', '\\', ',', ';', '=', '\n', 'é', '\ud800') });
    fc.assert(
      fc.property(text, text, (uri, subject) => {
        const tls = factsOf({ uriSans: [uri], subject, dnsSans: [] }, []);
        const value = judged('SANITIZE_SET', null, tls, { ...none, subject: true, uri: true }) ?? '';
        expect(value).toMatch(/^[\x20-\x7e]*$/);
        expect(keysOf(value)).toEqual([['Hash', 'Subject', 'URI']]);
      }),
    );
  });
});

/** Keys of each element, by the format's own rules for quotes. */
function keysOf(value: string): string[][] {
  const unquoted = value.replace(/"(?:\\.|[^"\\])*"/g, 'q');
  return unquoted.split(',').map((element) => element.split(';').map((pair) => pair.split('=')[0] ?? ''));
}
