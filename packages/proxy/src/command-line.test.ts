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

  test('what starts an Envoy in an Istio sidecar starts this proxy, and hears what has no effect', () => {
    const given =
      '-c a --drain-time-s 45 --drain-strategy immediate --local-address-ip-version v4 ' +
      '--file-flush-interval-msec 1000 --disable-hot-restart --allow-unknown-static-fields -l warning ' +
      '--component-log-level misc:error --skip-deprecated-logs --log-format %T\t%v --concurrency 0 -- --anything';
    const options = run(...given.split(' '));
    expect(options).toMatchObject({
      drainTimeMs: 45_000,
      logFormat: 'text',
      concurrency: 1,
      hotRestart: null,
    });
    expect(options.notices.map((notice) => notice.split(' ')[0])).toEqual([
      '--drain-strategy',
      '--local-address-ip-version',
      '--file-flush-interval-msec',
      '--allow-unknown-static-fields',
      '--skip-deprecated-logs',
      '--log-format',
    ]);
  });

  test('what would change the configuration or the metrics is refused in words, a word of JavaScript as unknown', () => {
    expect(
      parseCommandLine([
        '-c',
        'a',
        '--disable-extensions',
        'x',
        '--stats-tag=a:b',
        'constructor',
        '--toString',
      ]),
    ).toEqual({
      kind: 'error',
      problems: [
        '--disable-extensions is not supported: leave them out of the configuration',
        '--stats-tag is not supported: add the label where the metrics are scraped',
        'unknown argument "constructor"',
        'unknown argument "--toString"',
      ],
    });
    expect(parseCommandLine(['--hot-restart-version'])).toEqual({ kind: 'hot-restart-version' });
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
        '--concurrency must be a whole number of at least 0, not "many"',
        '--health-address must be address:port, not "15021"',
        '--log-level: "loud" is not a log level',
      ],
    });
    expect(parseCommandLine(['-c'])).toMatchObject({ kind: 'error' });
    expect(parseCommandLine(['--help', '--nonsense'])).toEqual({ kind: 'help' });
  });
});
