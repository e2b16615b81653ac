import { describe, expect, test } from 'bun:test';
import type { StrictPort } from '@sluice/api';
import { BypassGuard } from './bypass-guard.ts';
import { exposedIn, findExposed } from './exposed-ports.ts';
import type { ExposedPort } from './exposed-ports.ts';

const header =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';
const line = (local: string, state = '0A'): string =>
  `   0: ${local} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000  1000        0 1 1 0 100 0 0 10 0\n`;

describe('what the kernel says', () => {
  test.each([
    ['every address of IPv4', '00000000:1F90', '0.0.0.0'],
    ['one address', '0A01A8C0:1F90', '192.168.1.10'],
    ['every address of IPv6', '00000000000000000000000000000000:1F90', '::'],
    ['a link-local address', '000080FE000000000000000001000000:1F90', 'fe80:0:0:0:0:0:0:1'],
    ['IPv4 within IPv6', '0000000000000000FFFF00000A01A8C0:1F90', '192.168.1.10'],
  ])('%s is exposed', (_, local, address) => {
    expect(exposedIn([header + line(local)], [8080])).toEqual([{ port: 8080, address }]);
  });

  test.each([
    ['loopback', line('0100007F:1F90')],
    ['all of 127/8', line('0600007F:1F90')],
    ['loopback of IPv6', line('00000000000000000000000001000000:1F90')],
    ['loopback within IPv6', line('0000000000000000FFFF00000100007F:1F90')],
    ['another port', line('00000000:1F91')],
    ['a connection that is no listener', line('00000000:1F90', '01')],
  ])('%s is not', (_, text) => {
    expect(exposedIn([header + text], [8080])).toEqual([]);
  });

  test('a socket of this machine is found', async () => {
    const socket = { data: () => {} };
    const [open, hidden] = [
      Bun.listen({ hostname: '0.0.0.0', port: 0, socket }),
      Bun.listen({ hostname: '127.0.0.1', port: 0, socket }),
    ];
    const found = await findExposed([open.port, hidden.port]);
    expect(found.map((one) => one.port)).toEqual([open.port]);
    open.stop(true);
    hidden.stop(true);
  });
});

describe('the guard', () => {
  const strict: StrictPort[] = [{ appPort: 8080, policy: 'PeerAuthentication/default/default' }];
  function guard(isAllowed = false, exposed: ExposedPort[] = [{ port: 8080, address: '0.0.0.0' }]) {
    const told: string[] = [];
    const asked: (readonly number[])[] = [];
    let released = 0;
    const waits: (() => void)[] = [];
    const made = new BypassGuard({
      isAllowed,
      find: (ports) => {
        asked.push(ports);
        return Promise.resolve(exposed);
      },
      timers: { nowMs: () => 0, after: (_, callback) => (waits.push(callback), () => {}) },
      onExposed: (text) => told.push(text),
      onReleased: () => released++,
    });
    return { made, told, asked, waits, released: () => released };
  }

  test('looks at nothing where nothing is strict', async () => {
    const { made, asked } = guard();
    expect(await made.check()).toBe(true);
    expect(asked).toEqual([]);
  });

  test('names place, policy and remedy, once', async () => {
    const { made, told } = guard();
    made.update(strict);
    expect(await made.check()).toBe(false);
    expect(await made.check()).toBe(false);
    expect(told).toHaveLength(1);
    expect(told[0]).toContain('0.0.0.0:8080');
    expect(told[0]).toContain('PeerAuthentication/default/default says STRICT');
    expect(told[0]).toContain('--allow-bypass');
  });

  test('lets run what is allowed, and says so', async () => {
    const { made, told } = guard(true);
    made.update(strict);
    expect(await made.check()).toBe(true);
    expect(told[0]).toContain('this is allowed');
  });

  test('looks again when the policy changes under a running application, and now and then', async () => {
    const { made, asked, waits, told } = guard();
    made.watch();
    made.update(strict);
    made.update([...strict]);
    expect(asked).toEqual([[8080]]);
    waits.at(-1)?.();
    await Promise.resolve();
    expect(asked).toHaveLength(2);
    expect(told).toHaveLength(1);
  });

  test('says when nothing is strict any more', () => {
    const { made, released } = guard();
    made.update([]);
    expect(released()).toBe(0);
    made.update(strict);
    made.update([]);
    expect(released()).toBe(1);
  });
});
