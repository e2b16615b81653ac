import { describe, expect, test } from 'bun:test';
import { BootstrapError, loadBootstrap } from './bootstrap.ts';
import { flatRuntime, runtimeLayers } from './runtime-layers.ts';

const load = (text: string, over?: string, mode: 'reject' | 'warn' = 'reject') =>
  loadBootstrap(
    [{ name: 'b.yaml', text }, ...(over === undefined ? [] : [{ name: '--config-yaml', text: over }])],
    mode,
  );

function problems(text: string, over?: string): readonly string[] {
  try {
    load(text, over);
  } catch (error) {
    if (error instanceof BootstrapError) return error.problems;
    throw error;
  }
  return [];
}

describe('bootstrap files', () => {
  test('YAML and JSON mean the same; --config-yaml is laid over', () => {
    const yaml = load(
      'node: {id: a, cluster: c}\nadmin: {address: {socket_address: {address: 127.0.0.1, port_value: 1}}}',
      'node: {id: b}',
    );
    const json = load(
      '{"node": {"id": "b", "cluster": "c"}, "admin": {"address": {"socketAddress": {"address": "127.0.0.1", "portValue": 1}}}}',
    );
    expect(yaml.bootstrap).toEqual(json.bootstrap);
    expect(load('').bootstrap.node).toBeUndefined();
  });

  test('mistakes are told together, each with file, line and column', () => {
    const text = 'node:\n  idd: a\nstatic_resources:\n  clusters:\n  - name: a\n    connect_timeout: soon\n';
    expect(problems(text)).toEqual([
      expect.stringMatching(/^b\.yaml:2:3: node\.idd: /),
      expect.stringMatching(/^b\.yaml:6:5: static_resources\.clusters\[0\]\.connect_timeout: /),
    ]);
    expect(problems('node: {id: a}', 'node: {idd: b}')[0]).toStartWith('--config-yaml:1:8: node.idd: ');
  });

  test('broken YAML, repeated keys and aliases without end are refused with their place', () => {
    expect(problems('a: [1,\nb: 2')[0]).toMatch(/^b\.yaml:\d+:\d+: /);
    expect(problems('node: {}\nnode: {}')[0]).toMatch(/^b\.yaml:2:1: .*unique/);
    expect(problems('- a')).toEqual(['b.yaml: must be a mapping']);
    expect(problems('["a"]')).toEqual(['b.yaml: must be a mapping']);
  });

  test('JSON is judged as strictly: repeated keys, also written with escapes, and places', () => {
    expect(problems('{"node": {"id": "a",\n"id": "b"}}')[0]).toMatch(/^b\.yaml:2:1: .*unique/);
    expect(problems('{"node": {"id": "a", "i\\u0064": "b"}}')[0]).toMatch(/unique/);
    expect(problems('{"node": {"__proto__": {}}}')[0]).toContain('__proto__');
    expect(problems('{"node":\n {"idd": "a"}}')[0]).toStartWith('b.yaml:2:3: node.idd: ');
    expect(load('{"node": {"id": "\\"id\\": {", "cluster": "id"}}').bootstrap.node).toMatchObject({
      id: '"id": {',
      cluster: 'id',
    });
  });

  test('fields without effect refuse the file, or are listed', () => {
    const text = 'hds_config: {api_type: GRPC}\n';
    expect(problems(text)[0]).toStartWith('b.yaml:1:1: hds_config');
    expect(load(text, undefined, 'warn').warnings).toHaveLength(1);
  });

  test('runtime layers are flattened, the higher one wins', () => {
    const { bootstrap } = load(
      'layered_runtime: {layers: [{name: low, static_layer: {a: {b: 1, c: 2}}}, {name: high, static_layer: {a.b: 3, f: {numerator: 5}}}]}',
    );
    expect(Object.fromEntries(flatRuntime(runtimeLayers(bootstrap)))).toEqual({
      'a.b': 3,
      'a.c': 2,
      f: { numerator: 5 },
    });
  });
});
