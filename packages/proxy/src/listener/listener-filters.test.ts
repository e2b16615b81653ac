import { expect, test } from 'bun:test';
import { ListenerTable, OriginalSrcTable, parseJsonMessage } from '@sluice/xds';
import { newProblems } from '../config/problems.ts';
import type { ConnectionFacts } from './connection-facts.ts';
import { compileListenerFilters } from './listener-filters.ts';
import { compileOriginalSrc } from './original-src.ts';

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

test('original_src takes the address as it is believed by then; without the capability it is refused', () => {
  const message = parseJsonMessage(OriginalSrcTable, { bind_port: true, mark: 7 });
  const scope = newProblems();
  const binding = compileOriginalSrc(message, scope, true);
  const facts = { remoteAddress: '192.0.2.1' } as ConnectionFacts;
  expect(binding!.create({ proxyHeader() {} }).onPeek(facts, new Uint8Array(0), false)).toBe('continue');
  expect(facts.clientSource).toEqual({ address: '192.0.2.1', mark: 7 });
  expect(compileOriginalSrc(message, scope, false)).toBeNull();
  expect(scope.problems.map(({ path, severity }) => `${severity} ${path}`)).toEqual([
    'unhonoured bind_port',
    'unhonoured bind_port',
    'unhonoured ',
  ]);
  expect(scope.problems.at(-1)?.message).toContain('a PROXY header');
});

test('unknown filters are refused by their name', () => {
  const { names, problems } = compile(filter('b', 'local_ratelimit.v3.LocalRateLimit', {}));
  expect(names).toEqual([]);
  expect(problems[0]).toContain('LocalRateLimit is not supported');
});
