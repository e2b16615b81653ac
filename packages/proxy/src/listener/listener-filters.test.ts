import { expect, test } from 'bun:test';
import { ListenerTable, parseJsonMessage } from '@sluice/xds';
import { newProblems } from '../config/problems.ts';
import { compileListenerFilters } from './listener-filters.ts';

const types = 'type.googleapis.com/envoy.extensions.filters.listener';

function compile(...filters: object[]) {
  const scope = newProblems();
  const { listenerFilters } = parseJsonMessage(ListenerTable, { name: 'l', listener_filters: filters });
  const bindings = compileListenerFilters(listenerFilters, scope);
  return {
    names: bindings.map(({ name }) => name),
    problems: scope.problems.map(({ path, message }) => `${path}: ${message}`),
  };
}

const filter = (name: string, message: string, more: object = {}): object => ({
  name,
  typed_config: { '@type': `${types}.${message}`, ...more },
});

test('filters in their order', () => {
  const { names, problems } = compile(
    filter('a', 'proxy_protocol.v3.ProxyProtocol'),
    filter('b', 'tls_inspector.v3.TlsInspector'),
    filter('c', 'http_inspector.v3.HttpInspector'),
    filter('d', 'original_dst.v3.OriginalDst'),
  );
  expect(problems).toEqual([]);
  expect(names).toEqual(
    ['proxy_protocol', 'tls_inspector', 'http_inspector', 'original_dst'].map(
      (name) => `envoy.filters.listener.${name}`,
    ),
  );
});

test('a PROXY filter that cannot be is named', () => {
  expect(
    compile(
      filter('a', 'proxy_protocol.v3.ProxyProtocol', {
        rules: [{ tlv_type: 256, on_tlv_present: { key: '' } }, { tlv_type: 1 }],
        stat_prefix: 'x',
      }),
    ).problems,
  ).toEqual([
    'listener_filters[0].typed_config.rules[0].tlv_type: must be below 256',
    'listener_filters[0].typed_config.rules[0].on_tlv_present.key: must not be empty',
    'listener_filters[0].typed_config.stat_prefix: not honoured: headers are counted by the address of their listener',
  ]);
});

test('original_src is refused with what to do instead, others by their name', () => {
  const { names, problems } = compile(
    filter('a', 'original_src.v3.OriginalSrc', {}),
    filter('b', 'local_ratelimit.v3.LocalRateLimit', {}),
  );
  expect(names).toEqual([]);
  expect(problems[0]).toContain('a PROXY header');
  expect(problems[1]).toContain('LocalRateLimit is not supported');
});
