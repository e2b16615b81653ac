/**
 * Forward proxying to hosts that no service has (`HTTP_PROXY` with outboundTrafficPolicy ALLOW_ANY).
 *
 * A request whose route leads to an ORIGINAL_DST cluster has no destination of its own on such a listener:
 * the connection's is the listener itself. This filter resolves the host that the request names, refuses
 * what must not be reached through a sidecar, and tells the router the address. Requests for services of
 * the mesh pass untouched; only names that are not cached pause.
 */
import type { ForwardProxyFilter } from '@sluice/xds';
import { isIP } from 'node:net';
import { localReply } from '../../http/reply.ts';
import type { FilterVerdict, HttpFilter, HttpFilterContext, HttpFilterFactory } from '../filter.ts';
import { compileRefused, type RefusedAddresses } from './refused-addresses.ts';

/** Addresses of a name, best first; rejects when there is none. */
export type ResolveName = (name: string) => Promise<readonly string[]>;

/** How long an answer is used, ms; long enough for a page's worth of requests, short enough to follow DNS. */
const cacheMs = 5_000;
const maxNames = 1_000;
const defaultPort = 80;

interface Target {
  readonly host: string;
  readonly port: number;
}

export function forwardProxyFactory(
  resolve: ResolveName,
  nowMs: () => number = () => performance.now(),
): HttpFilterFactory {
  return {
    name: 'sluice.filters.http.forward_proxy',
    configTypes: ['sluice.extensions.filters.http.forward_proxy.v1.ForwardProxy'],
    isTerminal: false,
    compile(message, problems): HttpFilter {
      const { refusedAddresses } = message as ForwardProxyFilter;
      const refused = compileRefused(refusedAddresses, (index) =>
        problems.push({
          path: `refused_addresses[${index}]`,
          message: `"${refusedAddresses[index]}" is not an address, an address with port, or a range`,
        }),
      );
      return new ForwardProxy(refused, new NameCache(resolve, nowMs));
    },
    compileRoute(_message, problems) {
      problems.push({ path: '', message: 'the forward proxy has no configuration per route' });
      return null;
    },
    create: (config) => config as HttpFilter,
  };
}

class ForwardProxy implements HttpFilter {
  readonly #refused: RefusedAddresses;
  readonly #names: NameCache;

  constructor(refused: RefusedAddresses, names: NameCache) {
    this.#refused = refused;
    this.#names = names;
  }

  onRequestHead(x: HttpFilterContext): FilterVerdict {
    if (!dialsDestination(x)) return 'continue';
    const target = targetOf(x.request.authority, x.request.method === 'CONNECT');
    if (target === null) return this.#answer(x, 'destination-unknown', 'the authority is not host:port');
    const known = isIP(target.host) === 0 ? this.#names.get(target.host) : target.host;
    if (known !== undefined) return this.#decide(x, known, target) ?? 'continue';
    this.#names.resolve(target.host).then(
      (address) => this.#decide(x, address, target) ?? x.resume(),
      () => this.#answer(x, 'destination-unknown', 'the name was not resolved'),
    );
    return 'pause';
  }

  /** Undefined when the request may go on. */
  #decide(x: HttpFilterContext, address: string, target: Target): 'answered' | undefined {
    const { localAddress, localPort } = x.connection;
    const isOwn =
      target.port === localPort && (address === localAddress || isLoopbackAlias(address, localAddress));
    if (isOwn || this.#refused.isRefused(address, target.port)) {
      return this.#answer(x, 'destination-refused', 'the address is not dialled');
    }
    x.setDestination(address, target.port);
    return undefined;
  }

  #answer(
    x: HttpFilterContext,
    code: 'destination-refused' | 'destination-unknown',
    why: string,
  ): 'answered' {
    x.answer(localReply(code, code.replace('-', '_'), { detail: why }));
    return 'answered';
  }
}

function dialsDestination(x: HttpFilterContext): boolean {
  const action = x.route?.action;
  if (action?.kind !== 'forward' || action.clusters.kind !== 'single') return false;
  return x.findCluster(action.clusters.cluster)?.type === 'ORIGINAL_DST';
}

function targetOf(authority: string, needsPort: boolean): Target | null {
  const match = /^(?:\[(?<v6>[0-9a-fA-F:.]+)\]|(?<host>[^:[\]]+))(?::(?<port>\d{1,5}))?$/.exec(
    authority,
  )?.groups;
  const host = match?.['v6'] ?? match?.['host'];
  if (host === undefined || (needsPort && match?.['port'] === undefined)) return null;
  const port = Number(match?.['port'] ?? defaultPort);
  return port < 1 || port > 65_535 ? null : { host: host.toLowerCase(), port };
}

/** A listener on 127.0.0.1 is reached by every loopback address that the system maps to it. */
function isLoopbackAlias(address: string, local: string): boolean {
  return local.startsWith('127.') && (address.startsWith('127.') || address === '::1');
}

/** Answers for a short while, questions once at a time per name. */
class NameCache {
  readonly #resolve: ResolveName;
  readonly #nowMs: () => number;
  readonly #known = new Map<string, { readonly address: string; readonly untilMs: number }>();
  readonly #asked = new Map<string, Promise<string>>();

  constructor(resolve: ResolveName, nowMs: () => number) {
    this.#resolve = resolve;
    this.#nowMs = nowMs;
  }

  get(name: string): string | undefined {
    const entry = this.#known.get(name);
    if (entry === undefined) return undefined;
    if (entry.untilMs > this.#nowMs()) return entry.address;
    this.#known.delete(name);
    return undefined;
  }

  resolve(name: string): Promise<string> {
    const under = this.#asked.get(name);
    if (under !== undefined) return under;
    const asking = this.#ask(name).finally(() => this.#asked.delete(name));
    this.#asked.set(name, asking);
    return asking;
  }

  async #ask(name: string): Promise<string> {
    const [address] = await this.#resolve(name);
    if (address === undefined) throw new Error(`${name} has no address`);
    if (this.#known.size >= maxNames) {
      const [oldest] = this.#known.keys();
      if (oldest !== undefined) this.#known.delete(oldest);
    }
    this.#known.set(name, { address, untilMs: this.#nowMs() + cacheMs });
    return address;
  }
}
