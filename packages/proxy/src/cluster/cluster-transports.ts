/** The transports of one live cluster. Asked for each request, so answers are kept while nothing changes. */
import type { JsonValue } from '@sluice/xds';
import type { SecretSet } from '../tls/secret-set.ts';
import type { TlsEnvironment } from '../tls/tls-environment.ts';
import { plainTransport, type UpstreamTransport } from '../tls/transport.ts';
import { UpstreamTls } from '../tls/upstream-tls.ts';
import type { Endpoint } from './cluster.ts';
import {
  fieldKey,
  type TransportMatch,
  type TransportSettings,
  type TransportSpec,
} from './compile-transports.ts';

/** Metadata of endpoints that matches look at; the name is Envoy's. */
const matchNamespace = 'envoy.transport_socket_match';

type Metadata = NonNullable<Endpoint['metadata']>;
const noMetadata: Metadata = {};

export class ClusterTransports {
  readonly #matches: readonly { readonly match: TransportMatch; readonly live: LiveTransport }[];
  readonly #fallback: LiveTransport;
  /** By metadata object, which lasts as long as the endpoint's update. */
  readonly #chosen = new WeakMap<Metadata, LiveTransport>();

  constructor(settings: TransportSettings, environment: TlsEnvironment, statName: string) {
    this.#matches = settings.matches.map((match) => ({
      match,
      live: new LiveTransport(match.spec, environment, statName),
    }));
    this.#fallback = new LiveTransport(settings.fallback, environment, statName);
  }

  of(endpoint: Endpoint): UpstreamTransport {
    if (this.#matches.length === 0) return this.#fallback.now();
    const metadata = endpoint.metadata ?? noMetadata;
    let live = this.#chosen.get(metadata);
    if (live === undefined) this.#chosen.set(metadata, (live = this.#choose(metadata)));
    return live.now();
  }

  uses(secret: string): boolean {
    return this.#fallback.uses(secret) || this.#matches.some(({ live }) => live.uses(secret));
  }

  #choose(metadata: Metadata): LiveTransport {
    const values = (metadata[matchNamespace] ?? {}) as Readonly<Record<string, JsonValue | undefined>>;
    const fits = ([name, wanted]: readonly [string, string]): boolean => {
      const value = values[name];
      return value !== undefined && fieldKey(value) === wanted;
    };
    return this.#matches.find(({ match }) => match.fields.every(fits))?.live ?? this.#fallback;
  }
}

class LiveTransport {
  readonly #spec: TransportSpec;
  readonly #secrets: SecretSet;
  readonly #tls: UpstreamTls | null;
  #revision = -1;
  #transport: UpstreamTransport;

  constructor(spec: TransportSpec, environment: TlsEnvironment, statName: string) {
    this.#spec = spec;
    this.#secrets = environment.secrets;
    this.#tls = spec.tls === null ? null : new UpstreamTls(spec.tls, environment, statName);
    const { proxyHeader } = spec;
    this.#transport =
      proxyHeader === null
        ? plainTransport
        : { ...plainTransport, key: `${proxyHeader.key} ${plainTransport.key}`, proxyHeader };
  }

  now(): UpstreamTransport {
    if (this.#tls === null || this.#revision === this.#secrets.revision) return this.#transport;
    this.#revision = this.#secrets.revision;
    const { proxyHeader } = this.#spec;
    const key = `${proxyHeader === null ? '' : `${proxyHeader.key} `}${this.#tls.key()}`;
    if (key !== this.#transport.key)
      this.#transport = { key, tls: this.#tls, offersAlpn: this.#tls.offersAlpn, proxyHeader };
    return this.#transport;
  }

  uses(secret: string): boolean {
    return this.#tls !== null && this.#tls.uses(secret);
  }
}
