/**
 * A `World` whose router may start a second attempt beside the first, which nothing configured can ask for, and
 * endpoints that answer when the test says so.
 */
import { expect } from 'bun:test';
import { turns } from '@sluice/testkit';
import type { Endpoint } from '../../cluster/cluster.ts';
import { forwardTo, retryOn, routerBinding, testRoute } from '../../http/test-doubles.ts';
import {
  World,
  type RawClient,
  type ScriptedUpstream,
  type UpstreamPeer,
  type UpstreamScript,
} from '../../http/test-world.ts';
import type { Cluster } from '../../cluster/cluster.ts';
import type { HttpManagerConfig } from '../../listener/listener.ts';
import type { ForwardAction, RetryPolicy } from '../../route/route.ts';
import type { UpstreamHttpFilter } from '../filter.ts';
import type { Hedging } from './hedging.ts';
import type { RouterConfig } from './router-factory.ts';

export const get = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
export const onTimeout: Hedging = { initialAttempts: 1, onPerTryTimeout: true };
export const atOnce: Hedging = { initialAttempts: 2, onPerTryTimeout: false };

export interface HedgedSetup {
  readonly hedging: Hedging;
  readonly retry?: Partial<RetryPolicy>;
  readonly action?: Partial<ForwardAction>;
  readonly manager?: Partial<HttpManagerConfig>;
  readonly cluster?: Partial<Cluster>;
  readonly upstreamFilters?: readonly UpstreamHttpFilter[];
}

export class Held {
  readonly upstream: ScriptedUpstream;
  #peer: UpstreamPeer | null = null;

  constructor(world: World, script: UpstreamScript) {
    this.upstream = world.upstream((peer, text, number) => {
      this.#peer = peer;
      script(peer, text, number);
    });
  }

  get peer(): UpstreamPeer {
    return this.#peer!;
  }
  get endpoint(): string {
    return `127.0.0.1:${this.upstream.port}`;
  }
  /** That many requests have come, the last one with its body. */
  async asked(end = '\r\n\r\n', times = 1): Promise<void> {
    await this.upstream.until(() => {
      const text = this.upstream.texts.join('');
      return text.split(' HTTP/1.1\r\n').length > times && text.endsWith(end);
    });
  }
  async gone(): Promise<void> {
    await this.upstream.until(() => this.upstream.openCount === 0);
  }
}

/** What the record said at its end, beyond what `World.log` keeps. */
interface Seen {
  endpoint: Endpoint | null;
  upstreamHeadSentMs: number;
}

export class HedgedWorld extends World {
  held(script: UpstreamScript = () => {}): Held {
    return new Held(this, script);
  }

  /** The first try goes to the first port, the one beside it to the second, and so on round. */
  hedged(ports: readonly number[], setup: HedgedSetup) {
    const { hedging, retry, action, manager, upstreamFilters } = setup;
    const cluster = this.cluster('a', ports, setup.cluster);
    const config: RouterConfig = { suppressEnvoyHeaders: false, hedging };
    const policy = retryOn({ fiveXx: true }, { perTryTimeoutMs: 100, maxRetries: 1, ...retry });
    const seen: Seen[] = [];
    const noting = {
      log: ({ endpoint, upstreamHeadSentMs }: Seen) => void seen.push({ endpoint, upstreamHeadSentMs }),
    };
    const port = this.listen(
      () => testRoute(forwardTo('a', { retry: policy, ...action })),
      { filters: [{ ...routerBinding, config }], accessLoggers: [noting, this.log], ...manager },
      upstreamFilters,
    );
    return { cluster, port, seen };
  }

  /** An endpoint that has been asked, and where a timeout starts another attempt, has let it pass; `limits`: the most. */
  async first(
    others: readonly number[],
    setup: HedgedSetup,
    {
      request = get,
      limits = {},
    }: { request?: string; limits?: { requests?: number; retries?: number } } = {},
  ) {
    const first = this.held();
    const made = this.hedged([first.upstream.port, ...others], setup);
    const { requests, retries } = made.cluster.limits;
    requests.max = limits.requests ?? requests.max;
    retries.max = limits.retries ?? retries.max;
    const client = await this.client(made.port);
    client.send(request);
    await first.asked(request.slice(-4));
    if (setup.hedging.onPerTryTimeout) this.clock.advance(100);
    return { ...made, first, client };
  }

  /** Two endpoints and a client that has asked; the second attempt is under way. */
  async pair(setup: HedgedSetup, request = get) {
    const second = this.held();
    const made = await this.first([second.upstream.port], setup, { request });
    await second.asked(request.slice(-4));
    return { ...made, second };
  }
}

export async function expectQuiet(client: RawClient): Promise<void> {
  await turns(20);
  expect(client.text).toBe('');
}
