import { describe, expect, test } from 'bun:test';
import { parseCommandLine } from './command-line.ts';

const run = (...args: string[]) => {
  const parsed = parseCommandLine(args);
  if (parsed.kind !== 'run') throw new Error(JSON.stringify(parsed));
  return parsed.options;
};

describe('the command line', () => {
  test("takes Envoy's flags in both notations, with Envoy's defaults", () => {
    const options = run(
      '-c',
      'a.yaml',
      '--service-node=n',
      '--concurrency',
      '2',
      '--component-log-level',
      'xds:debug,loop:warn',
    );
    expect(options).toMatchObject({
      configPath: 'a.yaml',
      serviceNode: 'n',
      concurrency: 2,
      drainTimeMs: 600_000,
      mode: 'serve',
      unsupportedFields: 'reject',
      componentLogLevels: { xds: 'debug', loop: 'warning' },
      notices: [],
    });
  });

  test('addresses of the Prometheus and health servers', () => {
    expect(run('-c', 'a').prometheusAddress).toBeNull();
    expect(
      run('-c', 'a', '--prometheus-address', '127.0.0.1:0', '--health-address=[::1]:15021'),
    ).toMatchObject({
      prometheusAddress: { kind: 'tcp', address: '127.0.0.1', port: 0 },
      healthAddress: { kind: 'tcp', address: '[::1]', port: 15021 },
    });
  });

  test('flags without effect are taken with a notice', () => {
    expect(
      run('-c', 'a', '--drain-strategy', 'gradual', '--file-flush-interval-msec=1').notices,
    ).toHaveLength(2);
  });

  test('hot restart is off unless asked for', () => {
    expect(run('-c', 'a').hotRestart).toBeNull();
    expect(run('-c', 'a', '--base-id', '3', '--restart-epoch=2').hotRestart).toEqual({
      epoch: 2,
      baseId: 3,
      baseIdPath: null,
    });
    expect(run('-c', 'a', '--use-dynamic-base-id', '--base-id-path', 'f').hotRestart).toEqual({
      epoch: 0,
      baseId: null,
      baseIdPath: 'f',
    });
    expect(run('-c', 'a', '--restart-epoch', '1', '--disable-hot-restart').hotRestart).toBeNull();
    expect(parseCommandLine(['-c', 'a', '--restart-epoch', '1', '--use-dynamic-base-id'])).toMatchObject({
      kind: 'error',
    });
  });

  test('all mistakes are told at once', () => {
    expect(
      parseCommandLine([
        '--concurrency',
        'many',
        '--mode',
        'run',
        '--what',
        '-l',
        'loud',
        '--health-address',
        '15021',
      ]),
    ).toEqual({
      kind: 'error',
      problems: [
        'unknown argument "--what"',
        '--config-path or --config-yaml must be given',
        '--mode must be one of serve, validate, not "run"',
        '--concurrency must be a whole number of at least 1, not "many"',
        '--health-address must be address:port, not "15021"',
        '--log-level: "loud" is not a log level',
      ],
    });
    expect(parseCommandLine(['-c'])).toMatchObject({ kind: 'error' });
    expect(parseCommandLine(['--help', '--nonsense'])).toEqual({ kind: 'help' });
  });
});
