import { describe, expect, test } from 'bun:test';
import { changedBy, keyOfYaml, TranslationFixture } from './translation-fixture.ts';

const core = (kind: string, name: string, rest: string): string =>
  `apiVersion: v1\nkind: ${kind}\nmetadata: {name: ${name}, namespace: default}\n${rest}\n`;
const mesh = [
  core('Service', 'a', 'spec: {selector: {app: a}, ports: [{name: http, port: 80}]}'),
  core('Service', 'b', 'spec: {selector: {app: b}, ports: [{name: http, port: 8080}]}'),
].join('---\n');

describe('what a change of an alias reaches', () => {
  const alias = (name: string, to: string): string =>
    core('Service', name, `spec: {type: ExternalName, externalName: ${to}, ports: [{name: http, port: 80}]}`);
  const toA = alias('alias', 'a.default.svc.cluster.local');
  const aliased: readonly (readonly [string, string, string, readonly string[]])[] = [
    ['one more: the virtual host of its service', '', toA, ['virtualHost 80/a.default.svc.cluster.local:80']],
    [
      'to another service: the virtual hosts of both',
      toA,
      alias('alias', 'b.default.svc.cluster.local'),
      ['virtualHost 80/a.default.svc.cluster.local:80', 'virtualHost 8080/b.default.svc.cluster.local:8080'],
    ],
    ['whose ports change: nothing', toA, toA.replace('port: 80', 'port: 9999'), []],
    [
      'whose service appears: no longer a service of its own',
      alias('alias', 'later.default.svc.cluster.local'),
      core('Service', 'later', 'spec: {selector: {app: z}, ports: [{name: http, port: 80}]}'),
      [
        'cluster outbound|80||alias.default.svc.cluster.local',
        'cluster outbound|80||later.default.svc.cluster.local',
        'endpoint outbound|80||later.default.svc.cluster.local',
        'virtualHost 80/alias.default.svc.cluster.local:80',
        'virtualHost 80/later.default.svc.cluster.local:80',
      ],
    ],
    [
      'of an alias that turns: the virtual hosts of both services',
      `${toA}---\n${alias('longer', 'alias.default.svc.cluster.local')}`,
      alias('alias', 'b.default.svc.cluster.local'),
      ['virtualHost 80/a.default.svc.cluster.local:80', 'virtualHost 8080/b.default.svc.cluster.local:8080'],
    ],
  ];
  test.each(aliased)('%s', (_what, before, yaml, reached) => {
    const fixture = new TranslationFixture();
    fixture.apply(mesh);
    if (before !== '') fixture.apply(before);
    const client = fixture.client('client', { capabilities: ['sluice.dev/vhds'] });
    expect(changedBy(fixture, client, () => fixture.apply(yaml))).toEqual([...reached]);
  });

  test('an alias whose service vanishes is a service of its own again', () => {
    const fixture = new TranslationFixture();
    fixture.apply(mesh);
    fixture.apply(toA);
    const client = fixture.client('client', { capabilities: ['sluice.dev/vhds'] });
    const service = keyOfYaml(core('Service', 'a', 'spec: {ports: [{port: 80}]}'));
    expect(changedBy(fixture, client, () => fixture.delete(service))).toEqual([
      'cluster outbound|80||a.default.svc.cluster.local',
      'cluster outbound|80||alias.default.svc.cluster.local',
      'endpoint outbound|80||a.default.svc.cluster.local',
      'virtualHost 80/a.default.svc.cluster.local:80',
      'virtualHost 80/alias.default.svc.cluster.local:80',
    ]);
  });
});
