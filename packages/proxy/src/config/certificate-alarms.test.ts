import { expect, test } from 'bun:test';
import { createLogger, MetricsRegistry } from '@sluice/runtime';
import { fakeTime, TestAuthority } from '@sluice/testkit';
import { createMessage, SecretTable } from '@sluice/xds';
import { CertificateAlarms } from './certificate-alarms.ts';

const hour = 3_600_000;

test('each stage before the end is told once, by severity; a renewed certificate is quiet again', () => {
  const time = fakeTime();
  const lines: string[] = [];
  const metrics = new MetricsRegistry();
  const logger = createLogger({ component: 'identity', write: (line) => void lines.push(line) });
  const expired: string[] = [];
  const alarms = new CertificateAlarms(time.wheel, logger, metrics, (name) => void expired.push(name));
  const authority = new TestAuthority({ nowMs: time.clock.wallMs() });
  const secret = (notAfterMs: number) => {
    const { chainPem, keyPem } = authority.leaf({ notAfterMs });
    return createMessage(SecretTable, {
      name: 'default',
      tlsCertificate: { certificateChain: { inlineString: chainPem }, privateKey: { inlineString: keyPem } },
    });
  };
  const gauge = () =>
    metrics.collect().find(({ name }) => name === 'sluice_certificate_expiry_timestamp_seconds')?.series[0]
      ?.values[0];
  const start = time.clock.wallMs();
  alarms.put(secret(start + 24 * hour));
  expect(gauge()).toBe((start + 24 * hour) / 1000);
  time.advance(17 * hour);
  expect(lines).toHaveLength(0);
  time.advance(2 * hour);
  expect(lines).toHaveLength(1);
  time.advance(3 * hour);
  expect(lines).toHaveLength(2);
  time.advance(3 * hour);
  expect(lines.map((line) => /\t(warning|error|critical)\t/.exec(line)?.[1])).toEqual([
    'warning',
    'error',
    'critical',
  ]);
  expect(lines[2]).toContain('a certificate in use has expired');
  expect(expired).toEqual(['default']);
  alarms.put(secret(time.clock.wallMs() + 24 * hour));
  time.advance(hour);
  expect(lines).toHaveLength(3);
  alarms.remove('default');
  time.advance(48 * hour);
  expect(lines).toHaveLength(3);
  expect(gauge()).toBe(0);
});
