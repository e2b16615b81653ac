/** A key that the issuer has withdrawn ends what it signed within a minute, however long the tokens say they are good. */
import { afterEach, describe, expect, setSystemTime, test } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cleanUp, makeTempDir, onCleanUp } from '@sluice/testkit';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from 'jose';
import { ServiceAccountTokens } from './service-account-tokens.ts';

afterEach(() => {
  setSystemTime();
  return cleanUp();
});

const settings = { issuer: 'https://kubernetes.default.svc', audience: 'istio-ca' };
const withdrawn = 'the service-account token is not signed by a key of the issuer';
const startMs = Date.UTC(2026, 0, 1);

interface Signer {
  readonly jwk: JWK;
  readonly token: string;
}

async function signer(kid: string): Promise<Signer> {
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const jwk = { ...(await exportJWK(publicKey)), kid, alg: 'ES256', use: 'sig' };
  return { jwk, token: await tokenOf(kid, privateKey) };
}

/** Good for a day, as tokens of pods may be. */
function tokenOf(kid: string, key: CryptoKey): Promise<string> {
  const exp = Math.floor(startMs / 1000) + 86_400;
  const subject = 'system:serviceaccount:shop:cart';
  return new SignJWT({ iss: settings.issuer, aud: settings.audience, sub: subject, exp })
    .setProtectedHeader({ alg: 'ES256', kid })
    .sign(key);
}

async function verdict(tokens: ServiceAccountTokens, token: string): Promise<string> {
  const verified = await tokens.verify(token);
  return verified.ok ? `${verified.namespace}/${verified.account}` : verified.reason;
}

describe('a key that is withdrawn', () => {
  test('from a file', async () => {
    const [old, next] = [await signer('old'), await signer('next')];
    const jwks = join(makeTempDir(), 'jwks.json');
    const publish = (...keys: JWK[]): void => writeFileSync(jwks, JSON.stringify({ keys }));
    let nowMs = startMs;
    publish(old.jwk, next.jwk);
    const tokens = new ServiceAccountTokens({ ...settings, jwks }, () => nowMs);
    expect(await verdict(tokens, old.token)).toBe('shop/cart');
    publish(next.jwk);
    // Whoever asks on and on keeps no verdict alive by that.
    for (let round = 0; round < 6; round++) {
      nowMs += 10_000;
      await tokens.verify(old.token);
    }
    expect(await verdict(tokens, old.token)).toBe(withdrawn);
    expect(await verdict(tokens, next.token)).toBe('shop/cart');
  });

  test('from an address', async () => {
    const [old, next] = [await signer('old'), await signer('next')];
    let keys = [old.jwk, next.jwk];
    let fetched = 0;
    const server = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      fetch() {
        fetched++;
        return Response.json({ keys });
      },
    });
    onCleanUp(() => server.stop(true));
    setSystemTime(startMs);
    const jwks = `http://127.0.0.1:${server.port}/keys`;
    const tokens = new ServiceAccountTokens({ ...settings, jwks }, () => Date.now());
    expect(await verdict(tokens, old.token)).toBe('shop/cart');
    expect(await verdict(tokens, next.token)).toBe('shop/cart');
    expect(fetched).toBe(1);
    keys = [next.jwk];
    setSystemTime(startMs + 60_000);
    expect(await verdict(tokens, old.token)).toBe(withdrawn);
    expect(await verdict(tokens, next.token)).toBe('shop/cart');
  });
});
