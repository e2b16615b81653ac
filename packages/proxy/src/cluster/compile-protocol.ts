/** Which HTTP a cluster speaks: HttpProtocolOptions, and the older fields of the cluster itself. */
import { UpstreamHttpProtocolOptionsTable, unpackAny } from '@sluice/xds';
import type {
  Cluster as ClusterMessage,
  CommonHttpProtocolOptions,
  Http1ProtocolOptions,
  Http2ProtocolOptions,
  UpstreamHttpProtocolOptions,
  UpstreamTlsNameOptions,
} from '@sluice/xds';
import type { ProblemScope } from '../config/problems.ts';
import { compileH2Settings } from '../http/compile-h2-settings.ts';
import { defaultH2Settings, type H2Settings } from '../http/h2-settings.ts';
import type { UpstreamProtocol } from './upstream-protocol.ts';
import type { TlsNames } from '../upstream/tls-names.ts';

const optionsKey = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';

/**
 * A client that stops reading is owed what its endpoint may still send: a whole window, which waits on the client's
 * connection. That must stay below what a connection lets wait before it is given up (`io/queued-connection.ts`).
 */
export const MAX_UPSTREAM_WINDOW_BYTES = 1024 * 1024;

export interface UpstreamHttp {
  readonly protocol: UpstreamProtocol;
  readonly http2: H2Settings;
  readonly common: CommonHttpProtocolOptions | undefined;
  /** Null = TLS takes no name from requests. */
  readonly tlsNames: TlsNames | null;
}

export function compileUpstreamHttp(message: ClusterMessage, scope: ProblemScope): UpstreamHttp {
  let http: UpstreamHttp = {
    protocol: message.http2ProtocolOptions === undefined ? 'h1' : 'h2',
    http2: compileUpstreamH2(message.http2ProtocolOptions, scope.at('http2_protocol_options')),
    common: message.commonHttpProtocolOptions,
    tlsNames: null,
  };
  const at = scope.at('typed_extension_protocol_options');
  for (const [key, any] of Object.entries(message.typedExtensionProtocolOptions)) {
    const options = key === optionsKey ? unpackAny(any, UpstreamHttpProtocolOptionsTable) : undefined;
    if (options === undefined) at.unhonoured(`[${key}]`, 'unknown protocol options');
    else http = compileOptions(options, at.at(`[${key}]`));
  }
  scope.at('common_http_protocol_options').unhonouredWhenSet(
    {
      max_headers_count: http.common?.maxHeadersCount,
      max_stream_duration: http.common?.maxStreamDuration,
    },
    'not supported upstream',
  );
  return http;
}

function compileOptions(options: UpstreamHttpProtocolOptions, scope: ProblemScope): UpstreamHttp {
  scope.unhonouredWhenSet({ http_filters: options.httpFilters }, 'upstream filters are not supported');
  const { explicitHttpConfig, useDownstreamProtocolConfig, autoConfig } = options;
  const rest = {
    common: options.commonHttpProtocolOptions,
    tlsNames: compileTlsNames(options.upstreamHttpProtocolOptions, scope),
  };
  if (useDownstreamProtocolConfig !== undefined)
    return {
      ...rest,
      ...bothProtocols('downstream', useDownstreamProtocolConfig, scope.at('use_downstream_protocol_config')),
    };
  if (autoConfig !== undefined)
    return { ...rest, ...bothProtocols('auto', autoConfig, scope.at('auto_config')) };
  const at = scope.at('explicit_http_config');
  if (explicitHttpConfig === undefined) at.error('one of the upstream protocol options must be set');
  reportHttp1(explicitHttpConfig?.httpProtocolOptions, at);
  const http2 = explicitHttpConfig?.http2ProtocolOptions;
  if (http2 === undefined) return { ...rest, protocol: 'h1', http2: defaultH2Settings };
  return { ...rest, protocol: 'h2', http2: compileUpstreamH2(http2, at.at('http2_protocol_options')) };
}

function compileTlsNames(options: UpstreamTlsNameOptions | undefined, scope: ProblemScope): TlsNames | null {
  if (options === undefined) return null;
  if (!options.autoSni) {
    scope.at('upstream_http_protocol_options').unhonouredWhenSet(
      {
        auto_san_validation: options.autoSanValidation,
        override_auto_sni_header: options.overrideAutoSniHeader,
      },
      'the server name does not come from the request: auto_sni is off',
    );
    return null;
  }
  return { demandsName: options.autoSanValidation, header: options.overrideAutoSniHeader.toLowerCase() };
}

interface BothOptions {
  readonly httpProtocolOptions?: Http1ProtocolOptions;
  readonly http2ProtocolOptions?: Http2ProtocolOptions;
}

function bothProtocols(protocol: UpstreamProtocol, options: BothOptions, scope: ProblemScope) {
  reportHttp1(options.httpProtocolOptions, scope);
  const http2 = compileUpstreamH2(options.http2ProtocolOptions, scope.at('http2_protocol_options'));
  return { protocol, http2 };
}

function compileUpstreamH2(options: Http2ProtocolOptions | undefined, scope: ProblemScope): H2Settings {
  const settings = compileH2Settings(options, scope);
  if (settings.streamWindowBytes <= MAX_UPSTREAM_WINDOW_BYTES) return settings;
  scope.unhonoured('initial_stream_window_size', 'endpoints are given windows of 1 MiB at most');
  return { ...settings, streamWindowBytes: MAX_UPSTREAM_WINDOW_BYTES };
}

/** Upstream, HTTP/1 has nothing to choose here: names keep their case, trailers pass. */
function reportHttp1(options: Http1ProtocolOptions | undefined, scope: ProblemScope): void {
  if (options === undefined) return;
  scope.at('http_protocol_options').unhonouredWhenSet(
    {
      override_stream_error_on_invalid_http_message: options.overrideStreamErrorOnInvalidHttpMessage,
    },
    'an invalid response always ends its connection',
  );
}
