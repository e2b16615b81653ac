/** An API on a store in memory, asked without sockets, for the tests of this folder. */
import { expect } from 'bun:test';
import { createLogger, FakeClock } from '@sluice/runtime';
import { openMemoryStore } from '../../source/memory-store.ts';
import { strictStore } from '../../source/store.fixture.ts';
import type { ResourceStore } from '../../source/store.ts';
import { createResourceApi, type ResourceApi } from './resource-api.ts';

export const clock = new FakeClock();

interface TestApi {
  readonly api: ResourceApi;
  readonly store: ResourceStore;
  readonly logged: string[];
}

let current: TestApi | null = null;

/** A fresh store, with a watch log so short that it forgets soon; `call` and `events` go to it from now on. */
export function openTestApi(): TestApi {
  const logged: string[] = [];
  const log = createLogger({ component: 'api', write: (line) => logged.push(line) });
  const store = openMemoryStore(strictStore(() => clock.wallMs(), { logLength: 8 }));
  current = { api: createResourceApi({ store, clock, log, version: '0.1.0' }), store, logged };
  return current;
}

/** The parts of replies that tests look at. */
export interface ReplyBody {
  readonly kind: string;
  readonly apiVersion: string;
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly labels?: Record<string, string>;
    readonly annotations?: Record<string, string>;
    readonly continue?: string;
  };
  readonly status: unknown;
  readonly message: string;
  readonly details: { readonly causes: readonly { readonly field?: string }[] };
  readonly items: readonly ReplyBody[];
  readonly groups: readonly { readonly name: string }[];
  readonly resources: readonly { readonly name: string; readonly verbs: readonly string[] }[];
  readonly columnDefinitions: readonly { readonly name: string }[] | null;
  readonly rows: readonly { readonly cells: readonly string[]; readonly object: unknown }[];
}

export interface WatchLine {
  readonly type: string;
  readonly object: ReplyBody;
}

export interface Reply {
  readonly code: number;
  readonly body: ReplyBody;
  readonly headers: Headers;
}

export async function call(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Reply> {
  const response = await respond(method, path, body, headers);
  return {
    code: response.status,
    body: (await response.json()) as ReplyBody,
    headers: response.headers,
  };
}

export async function respond(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Response> {
  const text = body === undefined ? null : typeof body === 'string' ? body : JSON.stringify(body);
  const request = new Request(`http://localhost:15080${path}`, { method, body: text, headers });
  const response = current?.api.handle(request) ?? null;
  if (response === null) throw new Error(`${path} is not below the API`);
  return response;
}

export const services = '/api/v1/namespaces/default/services';
export const virtualServices = '/apis/networking.istio.io/v1/namespaces/default/virtualservices';

export function service(name: string, extra: Record<string, unknown> = {}) {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, ...extra },
    spec: { ports: [{ name: 'http', port: 80 }] },
  };
}

export function virtualService(name: string, weight = 100) {
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { name },
    spec: { hosts: [name], http: [{ route: [{ destination: { host: name }, weight }] }] },
  };
}

/** Reads whole lines of a watch until `count` of them have come, then leaves. */
export async function events(
  path: string,
  count: number,
  act: () => Promise<unknown> | void = () => {},
): Promise<WatchLine[]> {
  const response = await respond('GET', path);
  expect(response.status).toBe(200);
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  await act();
  let text = '';
  while (text.trim().split('\n').length < count || !text.endsWith('\n') || text.trim() === '') {
    const { value, done } = await reader.read();
    if (done) break;
    text += value;
  }
  await reader.cancel();
  return text
    .split('\n')
    .filter((line) => line !== '')
    .slice(0, count)
    .map((line) => JSON.parse(line) as WatchLine);
}
