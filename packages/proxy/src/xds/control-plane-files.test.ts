/** Real proxies whose way to the control plane is secured by files that are replaced. */
import { afterEach, expect, test } from 'bun:test';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cleanUp, makeTempDir, TestAuthority, type TestLeaf } from '@sluice/testkit';
import { xdsTypes } from '@sluice/xds';
import { adsBootstrap, startAdsPeer, xdsCluster } from '../ads-bootstrap.test-double.ts';
import { startProxy } from '../proxy-process.test-double.ts';
import type { AdsPeer } from './ads-peer.test-double.ts';

afterEach(cleanUp);

/** Processes start, and files are looked at every second. */
const limitMs = 30_000;
const typed = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3';
const authority = new TestAuthority();

function put(path: string, text: string): void {
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}

async function adsPeer(): Promise<AdsPeer> {
  const leaf = authority.leaf({ ipSans: ['127.0.0.1'] });
  const ads = await startAdsPeer({ key: leaf.keyPem, cert: leaf.chainPem, ca: authority.rootPem });
  ads.put(xdsTypes.cluster, {});
  ads.put(xdsTypes.listener, {});
  return ads;
}

function bootstrap(port: number, common_tls_context: object): object {
  const typed_config = { '@type': `${typed}.UpstreamTlsContext`, common_tls_context };
  return adsBootstrap(xdsCluster(port, { transport_socket: { name: 'tls', typed_config } }));
}

const serialsOf = (ads: AdsPeer): string[] => ads.clients.map((client) => client.split('#')[1] ?? '');

test(
  'certificates in files: each new pair moves the stream over',
  async () => {
    const ads = await adsPeer();
    const dir = makeTempDir();
    const write = (leaf: TestLeaf): void => {
      put(join(dir, 'chain.pem'), leaf.chainPem);
      put(join(dir, 'key.pem'), leaf.keyPem);
    };
    const [first, second] = [authority.leaf(), authority.leaf()];
    write(first);
    put(join(dir, 'ca.pem'), authority.rootPem);
    const proxy = startProxy(
      bootstrap(ads.port, {
        tls_certificates: [
          {
            certificate_chain: { filename: join(dir, 'chain.pem') },
            private_key: { filename: join(dir, 'key.pem') },
          },
        ],
        validation_context: { trusted_ca: { filename: join(dir, 'ca.pem') } },
      }),
    );
    await proxy.ready();
    expect(serialsOf(ads)).toEqual([first.certificate.serial]);
    write(second);
    await ads.until(() => serialsOf(ads).includes(second.certificate.serial));
    expect(proxy.log()).not.toContain('the stream to the control plane ended');
  },
  limitMs,
);

test(
  'secrets in a file: the stream opens when they are there',
  async () => {
    const ads = await adsPeer();
    const path = join(makeTempDir(), 'sds.json');
    const write = (leaf: TestLeaf): void =>
      put(
        path,
        JSON.stringify({
          resources: [
            {
              '@type': `${typed}.Secret`,
              name: 'cert',
              tls_certificate: {
                certificate_chain: { inline_string: leaf.chainPem },
                private_key: { inline_string: leaf.keyPem },
              },
            },
            {
              '@type': `${typed}.Secret`,
              name: 'ca',
              validation_context: { trusted_ca: { inline_string: authority.rootPem } },
            },
          ],
        }),
      );
    const source = (name: string): object => ({ name, sds_config: { path_config_source: { path } } });
    const proxy = startProxy(
      bootstrap(ads.port, {
        tls_certificate_sds_secret_configs: [source('cert')],
        validation_context_sds_secret_config: source('ca'),
      }),
    );
    const [first, second] = [authority.leaf(), authority.leaf()];
    write(first);
    await proxy.ready();
    expect(serialsOf(ads)).toEqual([first.certificate.serial]);
    write(second);
    await ads.until(() => serialsOf(ads).includes(second.certificate.serial));
  },
  limitMs,
);
