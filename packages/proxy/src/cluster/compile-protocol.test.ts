import { describe, expect, test } from 'bun:test';
import { ClusterTable, parseJsonMessage, UnhonouredReport } from '@sluice/xds';
import { newProblems, type Problem } from '../config/problems.ts';
import { DEFAULT_STREAM_WINDOW_BYTES } from '../http/h2-settings.ts';
import { compileUpstreamHttp, MAX_UPSTREAM_WINDOW_BYTES, type UpstreamHttp } from './compile-protocol.ts';

const type = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';

function compile(more: object): { http: UpstreamHttp; problems: readonly Problem[] } {
  const report = new UnhonouredReport();
  const message = parseJsonMessage(ClusterTable, { name: 'c', ...more }, report);
  expect(report.entries).toEqual([]);
  const scope = newProblems();
  return { http: compileUpstreamHttp(message, scope), problems: scope.problems };
}

const options = (more: object): object => ({
  typed_extension_protocol_options: { [type]: { '@type': `type.googleapis.com/${type}`, ...more } },
});
const h2 = (fields: object): object => options({ explicit_http_config: { http2_protocol_options: fields } });

describe('the protocol of a cluster', () => {
  test.each([
    [{}, 'h1'],
    [{ http2_protocol_options: {} }, 'h2'],
    [options({ explicit_http_config: { http_protocol_options: {} } }), 'h1'],
    [h2({}), 'h2'],
    [options({ use_downstream_protocol_config: { http2_protocol_options: {} } }), 'downstream'],
    [options({ use_downstream_protocol_config: {} }), 'downstream'],
    [options({ auto_config: { http2_protocol_options: {} } }), 'auto'],
  ])('%j is %s', (message, protocol) => {
    const { http, problems } = compile(message);
    expect(http.protocol).toBe(protocol as UpstreamHttp['protocol']);
    expect(problems).toEqual([]);
  });

  test('options of HTTP/2 are taken as they are written', () => {
    const { http, problems } = compile(
      h2({
        hpack_table_size: 8192,
        max_concurrent_streams: 7,
        initial_stream_window_size: 100_000,
        initial_connection_window_size: 200_000,
        allow_connect: true,
        max_outbound_frames: 5,
        max_outbound_control_frames: 6,
        max_consecutive_inbound_frames_with_empty_payload: 2,
        max_inbound_priority_frames_per_stream: 3,
        max_inbound_window_update_frames_per_data_frame_sent: 4,
        override_stream_error_on_invalid_http_message: false,
        connection_keepalive: { interval: '30s', timeout: '5s', interval_jitter: { value: 0 } },
      }),
    );
    expect(problems).toEqual([]);
    expect(http.http2).toMatchObject({
      headerTableBytes: 8192,
      maxConcurrentStreams: 7,
      streamWindowBytes: 100_000,
      connectionWindowBytes: 200_000,
      allowConnect: true,
      closesOnMalformed: true,
      keepalive: { intervalMs: 30_000, timeoutMs: 5000, jitterPercent: 0, idleIntervalMs: 0 },
      limits: {
        maxUnconsumedBytes: 200_000,
        maxOutboundFrames: 5,
        maxOutboundControlFrames: 6,
        maxConsecutiveEmptyFrames: 2,
        maxPriorityFramesPerStream: 3,
        maxWindowUpdatesPerDataFrame: 4,
      },
    });
    expect(compile(h2({})).http.http2.streamWindowBytes).toBe(DEFAULT_STREAM_WINDOW_BYTES);
  });

  test('what is out of range is told with its path', () => {
    const at = `typed_extension_protocol_options[${type}].explicit_http_config.http2_protocol_options`;
    const paths = compile(
      h2({
        max_concurrent_streams: 0,
        initial_stream_window_size: 1,
        initial_connection_window_size: 1,
        max_outbound_frames: 0,
        connection_keepalive: { interval: '0s' },
      }),
    ).problems.map(({ path }) => path);
    expect(paths.toSorted()).toEqual(
      [
        'connection_keepalive.interval',
        'connection_keepalive.timeout',
        'initial_connection_window_size',
        'initial_stream_window_size',
        'max_concurrent_streams',
        'max_outbound_frames',
      ].map((field) => `${at}.${field}`),
    );
  });

  test('a window larger than what may wait for a client is taken back to that, and told', () => {
    const { http, problems } = compile(h2({ initial_stream_window_size: 16 * 1024 * 1024 }));
    expect(http.http2.streamWindowBytes).toBe(MAX_UPSTREAM_WINDOW_BYTES);
    expect(problems).toMatchObject([{ severity: 'unhonoured' }]);
    expect(problems[0]!.path).toEndWith('http2_protocol_options.initial_stream_window_size');
    expect(compile(h2({ initial_stream_window_size: MAX_UPSTREAM_WINDOW_BYTES })).problems).toEqual([]);
  });

  test('names for TLS come from requests only where auto_sni says so', () => {
    const names = (upstream_http_protocol_options: object) =>
      compile(options({ auto_config: {}, upstream_http_protocol_options }));
    expect(names({ auto_sni: true, auto_san_validation: true }).http.tlsNames).toEqual({
      demandsName: true,
      header: '',
    });
    expect(names({ auto_sni: true, override_auto_sni_header: 'X-Name' }).http.tlsNames?.header).toBe(
      'x-name',
    );
    const { http, problems } = names({ auto_san_validation: true });
    expect(http.tlsNames).toBeNull();
    expect(problems[0]).toMatchObject({ severity: 'unhonoured' });
  });
});
