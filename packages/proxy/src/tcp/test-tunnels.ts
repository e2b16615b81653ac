/** For tests: a listener whose connections leave through tunnels, and proxies that open them. */
import type { TestCluster } from '../http/test-doubles.ts';
import { expectNothingHeld } from '../http/test-fresh-world.ts';
import { H2TestUpstream, type H2Script } from '../http/test-h2.ts';
import type { TcpProxyConfig, TunnelConfig } from '../listener/listener.ts';
import type { RequestRecord } from '../telemetry/record.ts';
import { chainOf, ServingWorld } from './test-serving.ts';

export const connect: TunnelConfig = {
  method: 'CONNECT',
  authority: 'db.test:5432',
  path: '',
  headers: [],
};

export class TunnelWorld extends ServingWorld {
  /** Why connections failed, as the access log says it; empty for those that did not. */
  readonly failures: string[] = [];

  /** A listener that reaches the cluster `proxy` through a tunnel; returns its port. */
  tunnel(tunnel: TunnelConfig, more: Partial<TcpProxyConfig> = {}): number {
    const reasons = {
      log: (record: RequestRecord) => void this.failures.push(record.upstreamTransportFailure),
    };
    const accessLoggers = [this.log, reasons];
    return this.serve(chainOf(this.tcpTo('proxy', { tunnel, accessLoggers, ...more })));
  }

  /** A proxy of HTTP/2, which becomes the cluster `proxy`. */
  async h2Proxy(script: H2Script): Promise<H2TestUpstream> {
    const upstream = this.owns(await new H2TestUpstream(script).listen());
    this.cluster('proxy', [upstream.port], { protocol: 'h2' });
    return upstream;
  }

  expectNothingHeld(): void {
    expectNothingHeld(this.clusters.get('proxy') as TestCluster);
  }
}
