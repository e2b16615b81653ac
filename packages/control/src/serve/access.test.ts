import { afterAll, describe, expect, test } from 'bun:test';
import { chmodSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FakeClock } from '@sluice/runtime';
import { Access, loadToken } from './access.ts';
import { ApiError } from './api/status-body.ts';

const root = mkdtempSync(join(tmpdir(), 'sluice-access-'));
afterAll(() => rmSync(root, { recursive: true }));

const clock = new FakeClock();
const access = new Access({ token: 'right', clock });

function request(headers: Record<string, string>, path = '/'): Request {
  return new Request(`http://127.0.0.1:15080${path}`, { headers: { host: '127.0.0.1:15080', ...headers } });
}

function codeOf(work: () => unknown): number {
  try {
    work();
    return 200;
  } catch (error) {
    if (error instanceof ApiError) return error.code;
    throw error;
  }
}

describe('token', () => {
  test('is made once, private, and found again', () => {
    const token = loadToken(root);
    expect(token.length).toBeGreaterThanOrEqual(43);
    chmodSync(join(root, 'token'), 0o644);
    expect(loadToken(root)).toBe(token);
    expect(statSync(join(root, 'token')).mode & 0o777).toBe(0o600);
  });

  test('is asked for, on loopback too', () => {
    expect(codeOf(() => access.checkToken(request({})))).toBe(401);
    expect(codeOf(() => access.checkToken(request({ authorization: 'Bearer wrong' })))).toBe(401);
    expect(codeOf(() => access.checkToken(request({ authorization: 'Basic right' })))).toBe(401);
    expect(codeOf(() => access.checkToken(request({ authorization: 'Bearer right' })))).toBe(200);
  });
});

describe('site', () => {
  test('a foreign Host is refused, whatever address it came by', () => {
    for (const host of [
      'evil.example',
      'evil.example:15080',
      '127.0.0.1.evil.example',
      '',
      '127.0.0.1:x',
      'localhost@evil',
    ]) {
      expect([host, codeOf(() => access.checkSite(request({ host })))]).toEqual([host, 403]);
    }
    for (const host of ['localhost:15080', '127.0.0.1', '[::1]:15080', 'LOCALHOST']) {
      expect([host, codeOf(() => access.checkSite(request({ host })))]).toEqual([host, 200]);
    }
  });

  test('a foreign Origin is refused, another port of this machine too', () => {
    for (const origin of [
      'https://evil.example',
      'null',
      'http://127.0.0.1:3000',
      'http://localhost:15080',
    ]) {
      expect([origin, codeOf(() => access.checkSite(request({ origin })))]).toEqual([origin, 403]);
    }
    expect(codeOf(() => access.checkSite(request({ origin: 'http://127.0.0.1:15080' })))).toBe(200);
    expect(codeOf(() => access.checkSite(request({ 'sec-fetch-site': 'cross-site' })))).toBe(403);
  });
});

describe('login link', () => {
  test('lets one browser in once, and takes itself out of the address', () => {
    const link = `/${access.newLoginLink()}`;
    const reply = access.login(request({}, link));
    expect(reply?.status).toBe(303);
    expect(reply?.headers.get('location')).toBe('/');
    const cookie = reply?.headers.get('set-cookie') ?? '';
    expect(cookie).toContain('HttpOnly; SameSite=Strict');
    const session = cookie.split(';')[0] ?? '';
    expect(codeOf(() => access.checkToken(request({ cookie: `a=b; ${session}` })))).toBe(200);
    expect(codeOf(() => access.login(request({}, link)))).toBe(401);
    expect(codeOf(() => access.checkToken(request({ cookie: 'sluice_session=guess' })))).toBe(401);
    clock.advance(13 * 3_600_000);
    expect(codeOf(() => access.checkToken(request({ cookie: session })))).toBe(401);
  });

  test('is dead after ten minutes', () => {
    const link = `/${access.newLoginLink()}`;
    clock.advance(11 * 60_000);
    expect(codeOf(() => access.login(request({}, link)))).toBe(401);
    expect(access.login(request({}, '/'))).toBeNull();
  });
});
