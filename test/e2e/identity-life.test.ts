/** Certificates over their life in a mesh of real processes: renewed, revoked, replaced, and run out. */
import { afterAll, describe, expect, test } from 'bun:test';
import { cleanUp, waitFor } from '@sluice/testkit';
import { identityOf, PairOfSidecars } from './identity-fixture.ts';

const timeoutMs = 90_000;

afterAll(cleanUp, timeoutMs);

/** Calls on and on until told to stop; every answer that was not the application's is kept. */
function keepCalling(pair: PairOfSidecars): {
  stop(): Promise<{ calls: number; failures: readonly string[] }>;
} {
  let isOver = false;
  let calls = 0;
  const failures: string[] = [];
  const loop = async (): Promise<void> => {
    while (!isOver) {
      const { status, reason, body } = await pair.call();
      calls++;
      if (status !== 200) failures.push(`${status} ${reason} ${body}`);
    }
  };
  const running = Promise.all([loop(), loop(), loop(), loop()]);
  return {
    async stop() {
      isOver = true;
      await running;
      return { calls, failures };
    },
  };
}

const certificatesOf = async (pair: PairOfSidecars, account: string): Promise<readonly string[]> =>
  (await identityOf(pair.control)).certificates
    .filter(({ identity }) => identity.endsWith(`/sa/${account}`))
    .map(({ serial }) => serial);

describe.if(process.platform === 'linux')('certificates', () => {
  test(
    'are renewed under load, and a new root and intermediate take over, without one failed request',
    async () => {
      const pair = new PairOfSidecars(['--leaf-ttl', '12s']);
      await pair.start();
      const load = keepCalling(pair);
      const first = await identityOf(pair.control);
      await pair.control.api('/sluice/v1/identity/rotate', { method: 'POST', body: '{"what":"root"}' });
      await waitFor(async () => (await identityOf(pair.control)).signing.rootId !== first.signing.rootId, {
        what: 'the new root to sign',
        timeoutMs: 30_000,
      });
      const seen = new Set<string>();
      await waitFor(
        async () => {
          for (const account of ['api', 'web'])
            for (const serial of await certificatesOf(pair, account)) seen.add(serial);
          return seen.size >= 8;
        },
        { what: 'both to renew three times', timeoutMs: 60_000 },
      );
      const { calls, failures } = await load.stop();
      // The access log says why a connection failed; the answer to a client does not.
      const words = pair
        .proxy('web')
        .output.split('\n')
        .filter((line) => / 50\d /.test(line));
      expect([...failures, ...words]).toEqual([]);
      expect(calls).toBeGreaterThan(100);
    },
    timeoutMs,
  );

  test(
    'that are revoked are refused everywhere, on established connections too, within 5 seconds',
    async () => {
      const pair = new PairOfSidecars([]);
      await pair.start();
      expect(await pair.call()).toMatchObject({ status: 200, body: 'from api' });
      const [serial] = await certificatesOf(pair, 'web');
      await pair.control.api('/sluice/v1/identity/revoke', {
        method: 'POST',
        body: JSON.stringify({ serial }),
      });
      const refused = await waitFor(
        async () => {
          const answer = await pair.call();
          return answer.status === 200 ? undefined : answer;
        },
        { what: 'the revoked client to be refused', timeoutMs: 5000 },
      );
      expect(refused.status).toBe(503);
      // Nothing of the revoked one's gets in any more, by whatever connection.
      for (let round = 0; round < 5; round++) expect((await pair.call()).status).toBe(503);
      const stateOfWeb = async (): Promise<unknown> => {
        const { instances } = await pair.control.api<{
          instances: readonly { instance: string; isHealthy: boolean; isRevoked: boolean }[];
        }>('/sluice/v1/instances');
        const { isHealthy, isRevoked } = instances.find(({ instance }) => instance === 'web.default') ?? {};
        return { isHealthy, isRevoked };
      };
      expect(await stateOfWeb()).toEqual({ isHealthy: false, isRevoked: true });
      // It learns of it though the stream that would bring the list is the first to go; a token is the way back.
      await waitFor(() => pair.proxy('web').output.includes('certificate has been revoked'), {
        what: 'the revoked sidecar to know',
      });
      await pair.giveWebAToken();
      await waitFor(async () => (await pair.call()).status === 200, {
        what: 'the sidecar to come back with a new token',
        timeoutMs: 30_000,
      });
      expect(await stateOfWeb()).toEqual({ isHealthy: true, isRevoked: false });
    },
    timeoutMs,
  );

  test(
    'outlive a control plane that is away, and fail closed at their end, saying so',
    async () => {
      const pair = new PairOfSidecars(
        ['--leaf-ttl', '10s', '--expired-renewal', '1h'],
        ['--allow-expired-renewal-s', '3600'],
      );
      await pair.start();
      const { certificates } = await identityOf(pair.control);
      await pair.control.kill();
      const killedAtMs = Date.now();
      const failure = await waitFor(
        async () => {
          const answer = await pair.call();
          return answer.status === 200 ? undefined : { ...answer, atMs: Date.now() };
        },
        { what: 'the certificates to run out', timeoutMs: 30_000 },
      );
      const firstEndMs = Math.min(...certificates.map(({ notAfter }) => Date.parse(notAfter)));
      expect(failure.atMs).toBeGreaterThanOrEqual(Math.min(firstEndMs, killedAtMs + 10_000));
      expect(failure.status).toBe(503);
      expect(`${failure.reason} ${failure.body}`).toMatch(/expired/i);
      await pair.control.start();
      await waitFor(async () => (await pair.call()).status === 200, {
        what: 'traffic to come back with the control plane',
        timeoutMs: 30_000,
      });
    },
    timeoutMs,
  );
});
