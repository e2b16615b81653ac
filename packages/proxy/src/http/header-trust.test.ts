import { describe, expect, test } from 'bun:test';
import { createRandom } from '@sluice/runtime';
import { HeaderList } from '@sluice/wire';
import type { HttpManagerConfig } from '../listener/listener.ts';
import { createIdSource } from '../telemetry/request-id.ts';
import { createRequestRecord, NO_CONNECTION } from '../telemetry/request-record.ts';
import { judgeRequestHeaders } from './header-trust.ts';
import type { RequestMessage } from './streams.ts';
import { testManager } from './test-doubles.ts';

function judge(fields: Record<string, string>, more: Partial<HttpManagerConfig>, facts = {}) {
  const headers = new HeaderList();
  for (const [name, value] of Object.entries(fields)) headers.append(name, value);
  const message: RequestMessage = {
    method: 'GET',
    scheme: 'http',
    authority: 'a',
    path: '/',
    protocol: 'HTTP/1.1',
    headers,
    upgrade: '',
    expectsContinue: false,
    contentLength: -1,
  };
  const record = createRequestRecord();
  judgeRequestHeaders(
    message,
    { ...NO_CONNECTION, remoteAddress: '10.9.9.9', ...facts },
    testManager(() => null, more),
    createIdSource(createRandom(1)),
    record,
  );
  const out: Record<string, string> = {};
  headers.forEach((name, value) => {
    out[name.toLowerCase()] = value;
  });
  return { out, record, message };
}

const edge = { isEdge: true, useRemoteAddress: true };

describe('at an edge', () => {
  test('proxy-internal names and ids of strangers are removed', () => {
    const { out, record } = judge(
      {
        'X-Envoy-Max-Retries': '99',
        'x-sluice-reason': 'x',
        'x-request-id': 'mine',
        'x-forwarded-host': 'evil',
        'x-real-ip': '1.1.1.1',
        forwarded: 'for=1.1.1.1',
        'x-extra': 'kept',
      },
      edge,
    );
    expect(Object.keys(out).sort()).toEqual([
      'x-extra',
      'x-forwarded-for',
      'x-forwarded-proto',
      'x-request-id',
    ]);
    expect(out['x-request-id']).not.toBe('mine');
    expect(record.requestId).toBe(out['x-request-id']!);
  });

  test('x-forwarded-for begins anew', () => {
    const { out, record } = judge(
      { 'x-forwarded-for': '1.2.3.4, 5.6.7.8', 'x-forwarded-proto': 'https' },
      edge,
    );
    expect(out['x-forwarded-for']).toBe('10.9.9.9');
    expect(out['x-forwarded-proto']).toBe('http');
    expect(record.clientAddress).toBe('10.9.9.9');
  });

  test('behind one trusted proxy its entry is the client, and what came before it is dropped', () => {
    const { out, record, message } = judge(
      { 'x-forwarded-for': '6.6.6.6, 5.6.7.8', 'x-forwarded-proto': 'https' },
      { ...edge, trustedHops: 1 },
    );
    expect(out['x-forwarded-for']).toBe('5.6.7.8,10.9.9.9');
    expect(record.clientAddress).toBe('5.6.7.8');
    expect(message.scheme).toBe('https');
  });

  test('an id of the outside is kept when the listener says so', () => {
    expect(
      judge({ 'x-request-id': 'mine' }, { ...edge, preserveExternalRequestId: true }).out['x-request-id'],
    ).toBe('mine');
  });
});

describe('inside', () => {
  test('headers are believed', () => {
    const { out, record } = judge(
      {
        'x-envoy-max-retries': '1',
        'x-request-id': 'mine',
        'x-forwarded-for': '1.2.3.4',
        'x-forwarded-proto': 'https',
      },
      {},
    );
    expect(out).toEqual({
      'x-envoy-max-retries': '1',
      'x-request-id': 'mine',
      'x-forwarded-for': '1.2.3.4',
      'x-forwarded-proto': 'https',
    });
    expect(record.clientAddress).toBe('1.2.3.4');
  });

  test('an id longer than 256 octets is replaced, an absent one made', () => {
    expect(judge({ 'x-request-id': 'x'.repeat(300) }, {}).out['x-request-id']).toHaveLength(36);
    expect(judge({}, {}).out['x-request-id']).toHaveLength(36);
    expect(judge({}, { generateRequestId: false }).out).not.toHaveProperty('x-request-id');
  });

  test('a proto that is neither http nor https is put right', () => {
    expect(judge({ 'x-forwarded-proto': 'gopher' }, {}).out['x-forwarded-proto']).toBe('http');
  });

  test('x-forwarded-for is appended to with the remote address in use, unless skipped', () => {
    expect(judge({ 'x-forwarded-for': '1.2.3.4' }, { useRemoteAddress: true }).out['x-forwarded-for']).toBe(
      '1.2.3.4,10.9.9.9',
    );
    expect(
      judge({ 'x-forwarded-for': '1.2.3.4' }, { useRemoteAddress: true, skipXffAppend: true }).out[
        'x-forwarded-for'
      ],
    ).toBe('1.2.3.4');
  });
});
