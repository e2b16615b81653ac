/** Short names in a mesh whose cluster domain is not the usual one. */
import { expect, test } from 'bun:test';
import { xdsTypes } from '@sluice/xds';
import { TranslationFixture } from './translation-fixture.ts';

test.each(['cluster.local', 'mesh.internal'])(
  'on a listener of its own a service is called by its short names, too: %s',
  (clusterDomain) => {
    const fixture = new TranslationFixture({ mesh: { clusterDomain } });
    fixture.apply(`
apiVersion: v1
kind: Service
metadata: { name: reviews, namespace: default }
spec:
  selector: { app: reviews }
  ports: [{ name: http, port: 9080 }]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews, namespace: default }
spec:
  hosts: [reviews]
  http:
    - match: [{ authority: { exact: "reviews:9080" } }]
      route: [{ destination: { host: reviews } }]
`);
    const client = fixture.client('web', { interceptionMode: 'NONE' });
    const name = `reviews.default.svc.${clusterDomain}:9080`;
    expect(fixture.resource(client, xdsTypes.route, name)).toMatchObject({
      virtual_hosts: [
        {
          routes: [
            {
              match: { prefix: '/' },
              route: { cluster: `outbound|9080||reviews.default.svc.${clusterDomain}` },
            },
          ],
        },
      ],
    });
  },
);
