/** Fields of the HTTP connection manager that the decoder knows and this proxy does not act on. */
import { PreserveCaseFormatterConfigTable, unpackAny, UuidRequestIdConfigTable } from '@sluice/xds';
import type { CommonHttpProtocolOptions, Http1ProtocolOptions, HttpConnectionManager } from '@sluice/xds';
import type { ProblemScope } from '../config/problems.ts';

const unsupported = 'not supported by this proxy';

export function reportUnhonouredHttp(message: HttpConnectionManager, scope: ProblemScope): void {
  if (message.codecType === 'HTTP3')
    scope.at('codec_type').error('HTTP3 is not supported; use AUTO, HTTP1 or HTTP2');
  scope.unhonouredWhenSet(
    {
      add_user_agent: message.addUserAgent,
      scheme_header_transformation: message.schemeHeaderTransformation,
      access_log_flush_interval: message.accessLogFlushInterval,
      flush_access_log_on_new_request: message.flushAccessLogOnNewRequest,
      access_log_options: message.accessLogOptions,
      original_ip_detection_extensions: message.originalIpDetectionExtensions,
      internal_address_config: message.internalAddressConfig,
      local_reply_config: message.localReplyConfig,
      strip_matching_host_port: message.stripMatchingHostPort,
      strip_any_host_port: message.stripAnyHostPort,
      strip_trailing_host_dot: message.stripTrailingHostDot,
      append_x_forwarded_port: message.appendXForwardedPort,
    },
    unsupported,
  );
  scope.at('tracing').unhonouredWhenSet(
    {
      verbose: message.tracing?.verbose,
      max_path_tag_length: message.tracing?.maxPathTagLength,
      custom_tags: message.tracing?.customTags,
    },
    unsupported,
  );
  if (message.streamErrorOnInvalidHttpMessage === true && message.codecType !== 'HTTP2') {
    const why = 'an invalid HTTP/1 message always ends its connection; over HTTP/2 only its stream';
    scope.unhonoured('stream_error_on_invalid_http_message', why);
  }
  reportRequestId(message, scope);
  if (message.commonHttpProtocolOptions) reportCommon(message.commonHttpProtocolOptions, scope);
  if (message.httpProtocolOptions)
    reportHttp1(message.httpProtocolOptions, scope.at('http_protocol_options'));
}

function reportRequestId(message: HttpConnectionManager, scope: ProblemScope): void {
  const config = message.requestIdExtension?.typedConfig;
  if (config === undefined) return;
  const at = scope.at('request_id_extension').at('typed_config');
  const uuid = unpackAny(config, UuidRequestIdConfigTable);
  if (uuid === undefined) at.unhonoured('', 'only UUID request ids are supported');
  if (uuid?.packTraceReason === true)
    at.unhonoured('pack_trace_reason', 'request ids are plain random UUIDs');
}

function reportCommon(options: CommonHttpProtocolOptions, scope: ProblemScope): void {
  const at = scope.at('common_http_protocol_options');
  at.unhonouredWhenSet({ max_stream_duration: options.maxStreamDuration }, 'set it on routes');
  if (options.headersWithUnderscoresAction !== 'ALLOW') {
    at.unhonoured('headers_with_underscores_action', unsupported);
  }
}

function reportHttp1(options: Http1ProtocolOptions, scope: ProblemScope): void {
  if (options.allowAbsoluteUrl === false)
    scope.unhonoured('allow_absolute_url', 'RFC 9112 demands absolute form');
  if (options.overrideStreamErrorOnInvalidHttpMessage !== undefined) {
    scope.unhonoured('override_stream_error_on_invalid_http_message', unsupported);
  }
  const format = options.headerKeyFormat;
  if (format === undefined) return;
  const keepsCase =
    format.statefulFormatter?.typedConfig !== undefined &&
    unpackAny(format.statefulFormatter.typedConfig, PreserveCaseFormatterConfigTable) !== undefined;
  if (!keepsCase) scope.unhonoured('header_key_format', 'the case of header names is always preserved');
}
