/** What istiod really sends: decoded and compiled with `--unsupported-fields warn`. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'bun:test';
import {
  ClusterTable,
  ListenerTable,
  parseJsonMessage,
  RouteConfigurationTable,
  UnhonouredReport,
  type MessageTable,
} from '@sluice/xds';
import { ConfigChecker } from '../config/checker.ts';
import { ListenerSet } from './listener-set.ts';
import { contexts, request } from '../route/route-requests.test-double.ts';
import { RouteTables } from '../route/route-tables.ts';

const folder = process.env['SLUICE_CASES'] ?? join(import.meta.dir, '../../../../../shared/cases');
const cases = ['sidecar', 'gateway', 'security'].map(
  (name) => [name, join(folder, 'istiod', name, 'xds.json')] as const,
);
const isThere = existsSync(cases[0]?.[1] ?? '');
if (!isThere) console.warn(`skipped: no istiod dumps at ${folder}`);

interface Dump {
  readonly dynamicActiveClusters?: readonly { readonly cluster: object }[];
  readonly dynamicListeners?: readonly { readonly activeState: { readonly listener: object } }[];
  readonly dynamicRouteConfigs?: readonly { readonly routeConfig: object }[];
}

/** Fields of Envoy versions after the protos in use; in bytes they would be reported as unknown fields. */
const newerFields: ReadonlySet<string> = new Set(['dnsJitter']);

function read<T extends object>(
  table: MessageTable<T>,
  json: object,
): { message: T; report: UnhonouredReport } {
  const report = new UnhonouredReport();
  const { '@type': _, ...fields } = json as Record<string, unknown>;
  const plain: unknown = JSON.parse(JSON.stringify(fields), (key, value: unknown) =>
    newerFields.has(key) ? undefined : value,
  );
  return { message: parseJsonMessage(table, plain, report), report };
}

describe.skipIf(!isThere)('istiod dumps', () => {
  const checker = new ConfigChecker(
    { hostname: 'h', environment: {}, runtime: [], allowedLogPaths: [] },
    'warn',
  );

  test.each(cases)(
    '%s: every cluster, listener and route table is taken, what has no effect is listed',
    (_, file) => {
      const dumps = JSON.parse(readFileSync(file, 'utf8')) as Dump[];
      const listeners = new ListenerSet(contexts.listeners, { chainsRetired: () => undefined });
      const rejections: string[] = [];
      let unhonoured = 0;
      const note = (
        name: string,
        verdict: { rejection: string | null; unhonoured: readonly string[] },
      ): void => {
        if (verdict.rejection !== null) rejections.push(`${name}: ${verdict.rejection}`);
        unhonoured += verdict.unhonoured.length;
      };
      for (const dump of dumps) {
        for (const { cluster } of dump.dynamicActiveClusters ?? []) {
          const { message, report } = read(ClusterTable, cluster);
          note(message.name, checker.cluster(message, report));
        }
        for (const { routeConfig } of dump.dynamicRouteConfigs ?? []) {
          const { message, report } = read(RouteConfigurationTable, routeConfig);
          note(message.name, checker.routes(message, report));
        }
        for (const { activeState } of dump.dynamicListeners ?? []) {
          const { message, report } = read(ListenerTable, activeState.listener);
          const verdict = checker.listener(message, report);
          note(message.name, verdict);
          if (verdict.rejection === null) expect(listeners.put(message, '1').name).toBe(message.name);
        }
      }
      expect(rejections).toEqual([]);
      expect(unhonoured).toBeGreaterThan(0);
    },
  );

  test('the sidecar dump routes as its VirtualServices say', () => {
    const dumps = JSON.parse(readFileSync(cases[0]?.[1] ?? '', 'utf8')) as Dump[];
    const tables = new RouteTables(contexts.routes);
    for (const { routeConfig } of dumps.flatMap((dump) => dump.dynamicRouteConfigs ?? [])) {
      tables.put(read(RouteConfigurationTable, routeConfig).message, '1');
    }
    const found = (authority: string, headers: Record<string, string>): unknown => {
      const action = tables.find('8080')?.match(request('/api', { authority, headers }), () => 0)?.action;
      return action?.kind === 'forward' ? action.clusters : action;
    };
    expect(found('reviews', { 'end-user': 'jason' })).toMatchObject({
      kind: 'single',
      cluster: expect.stringContaining('outbound|8080|v2|reviews'),
    });
    expect(found('reviews.default.svc.cluster.local:8080', {})).toMatchObject({
      kind: 'weighted',
      total: 100,
    });
    expect(found('elsewhere.example', {})).toMatchObject({ cluster: 'PassthroughCluster' });
  });
});
