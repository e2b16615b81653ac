/**
 * Everything on the API's port: who may ask is decided here, before a path is looked at; then health, the page,
 * the Kubernetes API and our own.
 */
import type { Clock, Logger } from '@sluice/runtime';
import type { Access } from './access.ts';
import type { ApiMetrics } from './api-metrics.ts';
import type { MeshApi } from './api/mesh-api.ts';
import { json, replyTo } from './api/reply.ts';
import type { ResourceApi } from './api/resource-api.ts';
import { ApiError } from './api/status-body.ts';
import { healthReply, type Readiness } from './health.ts';
import type { MeshViews } from './mesh-views.ts';
import { pageHeaders, renderPage } from './page/page.ts';

export interface ApiHandlerOptions {
  readonly access: Access;
  readonly resources: ResourceApi;
  readonly mesh: MeshApi;
  readonly views: MeshViews;
  readonly readiness: Readiness;
  readonly metrics: ApiMetrics;
  readonly clock: Clock;
  readonly log: Logger;
}

export type Handler = (request: Request, holdOpen: () => void) => Promise<Response>;

export function createApiHandler(options: ApiHandlerOptions): Handler {
  return async (request, holdOpen) => {
    const startMs = options.clock.nowMs();
    const response = await replyTo(options.log, () => route(options, request, holdOpen));
    options.metrics.observe(request.method, response.status, options.clock.nowMs() - startMs);
    return response;
  };
}

async function route(options: ApiHandlerOptions, request: Request, holdOpen: () => void): Promise<Response> {
  const { access } = options;
  access.checkSite(request);
  const { pathname, searchParams } = new URL(request.url);
  const health = healthReply(pathname, options.readiness);
  if (health !== null) return health;
  const loggedIn = access.login(request);
  if (loggedIn !== null) return loggedIn;
  // The mesh API judges tokens itself: instances come with their own.
  const ofMesh = options.mesh.handle(request);
  if (ofMesh !== null) return ofMesh;
  if (pathname === '/' && request.method === 'GET') return page(options, request);
  access.checkToken(request);
  if (searchParams.get('watch') === 'true' || searchParams.get('watch') === '1') holdOpen();
  const ofResources = options.resources.handle(request);
  if (ofResources !== null) return ofResources;
  throw new ApiError(404, `there is nothing at ${pathname}`);
}

function page({ access, views }: ApiHandlerOptions, request: Request): Response {
  try {
    access.checkToken(request);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const text = 'This page needs a login: "sluice dashboard" prints a link that is good for one use.\n';
    return new Response(text, { status: 401, headers: { 'content-type': 'text/plain; charset=utf-8' } });
  }
  const wantsJson = (request.headers.get('accept') ?? '').startsWith('application/json');
  if (wantsJson) return json(200, { paths: ['/api', '/apis', '/sluice/v1/status', '/version'] });
  return new Response(renderPage(views), { headers: pageHeaders });
}
