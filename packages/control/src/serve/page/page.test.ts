import { describe, expect, test } from 'bun:test';
import type { Registration } from '@sluice/api';
import type { ProxyState } from '../../status/proxy-state.ts';
import type { MeshViews } from '../mesh-views.ts';
import { html, link } from './html.ts';
import { pageHeaders, renderPage } from './page.ts';

const registration: Registration = {
  name: 'reviews-1',
  namespace: 'default',
  serviceAccount: 'default',
  labels: {},
  address: '127.0.0.1',
  interceptionMode: 'NONE',
  ports: [{ name: 'http', appPort: 20000, inboundPort: 20001 }],
  adminPort: 15000,
  healthPort: 15021,
  version: '0.1.0',
  ttlMs: 2500,
};

const proxy: ProxyState = {
  nodeId: 'sidecar~127.0.0.1~reviews-1.default~default.svc.cluster.local',
  instance: 'reviews-1.default',
  namespace: 'default',
  workload: 'reviews',
  version: '0.1.0',
  userAgent: 'sluice',
  connectedWallMs: 0,
  address: '127.0.0.1:40000',
  adminPort: 15000,
  protocol: 'delta',
  types: [
    { type: 'cds', state: 'SYNCED', sentVersion: 'a', ackedVersion: 'a', error: '', nackedResources: [] },
    {
      type: 'rds',
      state: 'NACK',
      sentVersion: 'b',
      ackedVersion: 'a',
      error: 'regex <x> too long',
      nackedResources: [],
    },
  ],
};

function views(changes: Partial<MeshViews> = {}): MeshViews {
  return {
    summary: () => ({
      version: '0.1.0',
      revision: 7,
      startedAt: '2026-01-01T00:00:00Z',
      isEvictionFrozen: false,
      now: '2026-01-01T00:00:00.000Z',
      addresses: {
        xds: '127.0.0.1:15010',
        secure: '127.0.0.1:15012',
        api: '127.0.0.1:15080',
        metrics: '127.0.0.1:15014',
      },
      fileProblems: [],
      storageTrouble: null,
      troubles: { total: 0, shown: [] },
      sidecars: { concurrency: 1, drainMs: 45_000, terminationDrainMs: 5000 },
    }),
    proxies: () => [proxy],
    instances: () => [
      {
        instance: 'reviews-1.default',
        registration,
        isHealthy: false,
        healthMessage: '<script>alert(1)</script>',
        isRevoked: false,
        registeredAt: '',
        silentMs: 0,
      },
    ],
    services: () => [
      {
        name: 'reviews',
        namespace: 'default',
        hostname: 'reviews.default.svc.cluster.local',
        ports: [{ number: 9080, name: 'http', protocol: 'http' }],
        endpoints: [
          { address: '127.0.0.1', port: 20001, workload: 'reviews', isHealthy: false, locality: '' },
        ],
        alias: null,
        source: { group: '', kind: 'Service', namespace: 'default', name: 'reviews' },
      },
    ],
    resources: () => [
      {
        key: { group: 'networking.istio.io', kind: 'VirtualService', namespace: 'default', name: 'reviews' },
        origin: '/mesh/reviews.yaml:1:1',
        generation: 3,
        isCurrent: false,
        isServing: true,
        problems: [
          { code: 'bad-weight', severity: 'error', message: 'weights sum to 0', path: 'spec.http[0]' },
        ],
        conditions: [{ type: 'Accepted', status: 'False', reason: 'Invalid', message: 'see problems' }],
      },
    ],
    edges: () => [
      {
        client: { workload: 'storefront', namespace: 'default', account: 'storefront' },
        service: 'reviews.default.svc.cluster.local',
        port: 80,
        subset: '',
        security: 'refused',
        reason: 'DestinationRule <x> says DISABLE',
      },
    ],
    analyze: () => [],
    ...changes,
  };
}

describe('page', () => {
  test('shows workloads, sync state, services and what is wrong with which resource', () => {
    const text = renderPage(views());
    for (const shown of [
      'reviews-1.default',
      'RDS NACK: regex &lt;x&gt; too long',
      'http://127.0.0.1:15000/',
      '0 of 1',
      'networking.istio.io/VirtualService/default/reviews',
      '/mesh/reviews.yaml:1:1',
      'an older generation is in use',
      'Accepted False (Invalid): see problems',
      'error [bad-weight] spec.http[0]: weights sum to 0',
      'Encryption: 0 of 1 edges are mutual TLS',
      'storefront.default',
      'DestinationRule &lt;x&gt; says DISABLE',
      'What to try next',
    ]) {
      expect(text).toContain(shown);
    }
  });

  test('texts of workloads and files cannot become markup, and nothing may run or load', () => {
    const text = renderPage(views());
    expect(text).not.toContain('<script');
    expect(text).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
    expect(pageHeaders['content-security-policy']).toContain("default-src 'none'");
  });

  test('an empty mesh is a page too', () => {
    const empty = views({
      proxies: () => [],
      instances: () => [],
      services: () => [],
      edges: () => [],
      resources: () => [],
    });
    expect(renderPage(empty)).toContain('none');
  });
});

test('only plain addresses become links, attributes are escaped', () => {
  expect(link('javascript:alert(1)', 'x').html).toBe('x');
  expect(link('http://127.0.0.1:1/a?b=1', '<x>').html).toBe(
    '<a href="http://127.0.0.1:1/a?b=1" rel="noreferrer">&lt;x&gt;</a>',
  );
  expect(html`<a title="${'" onclick="x'}">${['a', html`<b>${'&'}</b>`, null, 3]}</a>`.html).toBe(
    '<a title="&quot; onclick=&quot;x">a<b>&amp;</b>3</a>',
  );
});

test('what hinders writes, and what resources do not do, stand at the top', () => {
  const quiet = views({ resources: () => [] });
  expect(renderPage(quiet)).not.toContain('Needs attention');
  const summary = {
    ...quiet.summary(),
    storageTrouble: 'the disk of /state is full (0 KiB are free)',
    troubles: {
      total: 1,
      shown: [
        {
          key: { group: 'g', kind: 'VirtualService', namespace: 'shop', name: 'cart' },
          name: 'g/VirtualService/shop/cart',
          origin: '/mesh/<cart>.yaml:1:1',
          condition: 'ResolvedRefs',
          reason: 'SubsetNotFound',
          message: 'no subset v9',
        },
      ],
    },
  };
  const page = renderPage({ ...quiet, summary: () => summary });
  expect(page).toContain('Needs attention');
  expect(page).toContain('the disk of /state is full');
  expect(page).toContain('Changes are refused until then; traffic and what is configured go on');
  expect(page).toContain(
    'g/VirtualService/shop/cart (/mesh/&lt;cart&gt;.yaml:1:1): SubsetNotFound: no subset v9',
  );
});
