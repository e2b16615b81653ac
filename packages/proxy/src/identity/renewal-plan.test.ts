import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { alarmLevel, clockProblem, nextAlarmAtMs, renewAtMs } from './renewal-plan.ts';

const hour = 3_600_000;
const day: Parameters<typeof renewAtMs>[0] = {
  notBeforeMs: -15 * 60_000,
  notAfterMs: 24 * hour,
  obtainedMs: 0,
};

test('renewal falls between a half and seven tenths of what is left on arrival', () => {
  expect(renewAtMs(day, 0)).toBe(12 * hour);
  expect(renewAtMs(day, 0.999_999)).toBeCloseTo(16.8 * hour, -3);
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (draw) => {
      const at = renewAtMs(day, draw);
      expect(at).toBeGreaterThanOrEqual(12 * hour);
      expect(at).toBeLessThan(16.8 * hour);
    }),
  );
});

test('a certificate that lives shorter than it was backdated is not old on arrival', () => {
  const short = { notBeforeMs: -15 * 60_000, notAfterMs: 10_000, obtainedMs: 0 };
  expect(renewAtMs(short, 0)).toBe(5_000);
  expect(alarmLevel(short, 1_000)).toBe('none');
});

test('alarms come at a quarter, at a tenth and at the end of the lifetime', () => {
  expect(alarmLevel(day, 17 * hour)).toBe('none');
  expect(alarmLevel(day, 18 * hour)).toBe('low');
  expect(alarmLevel(day, 22 * hour)).toBe('urgent');
  expect(alarmLevel(day, 24 * hour)).toBe('expired');
  expect(nextAlarmAtMs(day, 0)).toBe(18 * hour);
  expect(nextAlarmAtMs(day, 18 * hour)).toBeCloseTo(21.6 * hour, 0);
  expect(nextAlarmAtMs(day, 22 * hour)).toBe(24 * hour);
  expect(nextAlarmAtMs(day, 24 * hour)).toBe(Infinity);
});

describe('what fresh dates say of clocks', () => {
  const issued = (notBeforeMs: number, notAfterMs: number) =>
    clockProblem({ notBeforeMs, notAfterMs, obtainedMs: Date.UTC(2026, 0, 2) });
  const now = Date.UTC(2026, 0, 2);

  test('usual backdating says nothing', () => {
    expect(issued(now - 15 * 60_000, now + 24 * hour)).toBeNull();
  });

  test('valid only later: ours is behind', () => {
    expect(issued(now + 90_000, now + hour)).toBe(
      "the certificate is valid only from 2026-01-02T00:01:30.000Z, 90 s after this clock (2026-01-02T00:00:00.000Z): this clock is behind the authority's",
    );
  });

  test('over already, or dated hours back: ours is ahead', () => {
    expect(issued(now - 30 * hour, now - hour)).toContain('already expired');
    expect(issued(now - 5 * hour, now + hour)).toContain('dated 18000 s back');
  });
});
