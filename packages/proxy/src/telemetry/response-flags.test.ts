import { describe, expect, test } from 'bun:test';
import { FLAG, responseFlagBit, responseFlagsLong, responseFlagsShort } from './response-flags.ts';

describe('response flags', () => {
  test('no flag is a dash in both forms', () => {
    expect(responseFlagsShort(0)).toBe('-');
    expect(responseFlagsLong(0)).toBe('-');
  });

  test('every bit has its short name, and no two share one', () => {
    const names = Object.entries(FLAG).map(([name, bit]) => {
      expect(responseFlagsShort(bit)).toBe(name);
      expect(responseFlagBit(name)).toBe(bit);
      return name;
    });
    expect(new Set(Object.values(FLAG)).size).toBe(names.length);
    expect(names).toHaveLength(30);
  });

  test('long names are read and written', () => {
    expect(responseFlagsLong(FLAG.UF | FLAG.URX)).toBe(
      'UpstreamConnectionFailure,UpstreamRetryLimitExceeded',
    );
    expect(responseFlagBit('DownstreamConnectionTermination')).toBe(FLAG.DC);
  });

  test('several flags are joined by commas in a fixed order', () => {
    expect(responseFlagsShort(FLAG.URX | FLAG.UF)).toBe('UF,URX');
  });

  test('a name Envoy does not have is undefined', () => {
    expect(responseFlagBit('XX')).toBeUndefined();
    expect(responseFlagBit('')).toBe(0);
  });
});
