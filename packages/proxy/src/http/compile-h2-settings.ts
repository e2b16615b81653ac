/** Http2ProtocolOptions → settings, with the ranges of protocol.proto. */
import { defaultH2Limits, type H2Limits } from '@sluice/wire';
import type { Http2ProtocolOptions } from '@sluice/xds';
import type { ProblemScope } from '../config/problems.ts';
import {
  DEFAULT_CONNECTION_WINDOW_BYTES,
  defaultH2Settings,
  type H2Keepalive,
  type H2Settings,
} from './h2-settings.ts';

/** protocol.proto: windows and stream counts are 31 bits; RFC 9113 §6.9.2: no window below 65,535. */
const MAX_31_BIT = 0x7fff_ffff;
const MIN_WINDOW_BYTES = 65_535;
const DEFAULT_JITTER_PERCENT = 15;

/** `scope` is that of the options; `defaults` is what holds where they do not say. */
export function compileH2Settings(
  options: Http2ProtocolOptions | undefined,
  scope: ProblemScope,
  defaults: H2Settings = defaultH2Settings,
): H2Settings {
  if (options === undefined) return defaults;
  const connectionWindowBytes = inRange(
    options.initialConnectionWindowSize ?? DEFAULT_CONNECTION_WINDOW_BYTES,
    MIN_WINDOW_BYTES,
    scope.at('initial_connection_window_size'),
  );
  return {
    headerTableBytes: options.hpackTableSize ?? defaults.headerTableBytes,
    maxConcurrentStreams: inRange(
      options.maxConcurrentStreams ?? defaults.maxConcurrentStreams,
      1,
      scope.at('max_concurrent_streams'),
    ),
    streamWindowBytes: inRange(
      options.initialStreamWindowSize ?? defaultH2Settings.streamWindowBytes,
      MIN_WINDOW_BYTES,
      scope.at('initial_stream_window_size'),
    ),
    connectionWindowBytes,
    allowConnect: options.allowConnect,
    keepalive: compileKeepalive(options, scope.at('connection_keepalive')),
    closesOnMalformed: malformedCloses(options, defaults.closesOnMalformed),
    limits: compileLimits(options, connectionWindowBytes, scope),
  };
}

function compileLimits(
  options: Http2ProtocolOptions,
  maxUnconsumedBytes: number,
  scope: ProblemScope,
): H2Limits {
  const least = { max_outbound_frames: 1, max_outbound_control_frames: 1 };
  for (const [name, min] of Object.entries(least)) {
    const value =
      name === 'max_outbound_frames' ? options.maxOutboundFrames : options.maxOutboundControlFrames;
    if (value !== undefined && value < min) scope.at(name).error(`must be at least ${min}`);
  }
  return {
    ...defaultH2Limits,
    maxUnconsumedBytes,
    maxOutboundFrames: options.maxOutboundFrames ?? defaultH2Limits.maxOutboundFrames,
    maxOutboundControlFrames: options.maxOutboundControlFrames ?? defaultH2Limits.maxOutboundControlFrames,
    maxConsecutiveEmptyFrames:
      options.maxConsecutiveInboundFramesWithEmptyPayload ?? defaultH2Limits.maxConsecutiveEmptyFrames,
    maxPriorityFramesPerStream:
      options.maxInboundPriorityFramesPerStream ?? defaultH2Limits.maxPriorityFramesPerStream,
    maxWindowUpdatesPerDataFrame:
      options.maxInboundWindowUpdateFramesPerDataFrameSent ?? defaultH2Limits.maxWindowUpdatesPerDataFrame,
  };
}

function compileKeepalive(options: Http2ProtocolOptions, scope: ProblemScope): H2Keepalive | null {
  const keepalive = options.connectionKeepalive;
  if (keepalive === undefined) return null;
  for (const field of ['interval', 'timeout', 'connectionIdleInterval'] as const) {
    const value = keepalive[field];
    const name = field === 'connectionIdleInterval' ? 'connection_idle_interval' : field;
    if (value !== undefined && value < 1) scope.at(name).error('must be at least 1ms');
  }
  if (keepalive.timeout === undefined) scope.at('timeout').error('must be set');
  const intervalMs = keepalive.interval ?? 0;
  const idleIntervalMs = keepalive.connectionIdleInterval ?? 0;
  if (intervalMs === 0 && idleIntervalMs === 0) return null;
  return {
    intervalMs,
    timeoutMs: keepalive.timeout ?? 0,
    jitterPercent: keepalive.intervalJitter?.value ?? DEFAULT_JITTER_PERCENT,
    idleIntervalMs,
  };
}

/** The newer field outranks the manager's `stream_error_on_invalid_http_message`, which outranks the older one. */
function malformedCloses(options: Http2ProtocolOptions, otherwise: boolean): boolean {
  const override = options.overrideStreamErrorOnInvalidHttpMessage;
  if (override !== undefined) return !override;
  return options.streamErrorOnInvalidHttpMessaging ? false : otherwise;
}

function inRange(value: number, min: number, scope: ProblemScope): number {
  if (value >= min && value <= MAX_31_BIT) return value;
  scope.error(`must be between ${min} and ${MAX_31_BIT}`);
  return Math.min(Math.max(value, min), MAX_31_BIT);
}
