/**
 * `/sluice/v1/…`: what the mesh is doing, and the conversation with workloads. Reading needs the API token;
 * renewals, health and goodbyes of an instance prove themselves by the instance's own token instead, so that
 * nothing a workload holds can change the configuration.
 */
import type { Logger } from '@sluice/runtime';
import type { InstanceRegistry } from '../../registry/instance-registry.ts';
import { RegistrationRefused } from '../../registry/instance-registry.ts';
import { readRegistration } from '../../registry/read-registration.ts';
import type { Access } from '../access.ts';
import { parseBody, readBody } from '../body.ts';
import type { BootstrapOptions } from '../bootstrap.ts';
import { envoyBootstrap } from '../bootstrap.ts';
import type { EdgeFilter, MeshViews } from '../mesh-views.ts';
import type { IdentityApi } from './identity-api.ts';
import { json, replyTo } from './reply.ts';
import { ApiError, writeError } from './status-body.ts';

export interface MeshApiOptions {
  readonly views: MeshViews;
  readonly registry: InstanceRegistry;
  readonly access: Access;
  readonly bootstrap: BootstrapOptions;
  readonly identity: IdentityApi;
  readonly log: Logger;
}

export interface MeshApi {
  /** Replies to every request below `/sluice/v1`; null for another path. */
  handle(request: Request): Promise<Response> | null;
}

const prefix = '/sluice/v1/';

export function createMeshApi(options: MeshApiOptions): MeshApi {
  return {
    handle(request) {
      const { pathname } = new URL(request.url);
      if (!pathname.startsWith(prefix)) return null;
      const segments = pathname.slice(prefix.length).replace(/\/$/, '').split('/');
      return replyTo(options.log, () => dispatch(options, request, segments));
    },
  };
}

async function dispatch(
  options: MeshApiOptions,
  request: Request,
  segments: readonly string[],
): Promise<Response> {
  const [root, name, action, ...more] = segments;
  if (root === 'registrations' && name !== undefined && more.length === 0) {
    return handleInstance(options, request, decodeURIComponent(name), action);
  }
  if (root === 'bootstrap' && name === undefined) return handleBootstrap(options, request);
  options.access.checkToken(request);
  const ofIdentity = options.identity.handle(request, segments);
  if (ofIdentity !== null) return ofIdentity;
  const route = `${request.method} ${segments.join('/')}`;
  const { views } = options;
  switch (route) {
    case 'GET status':
      return json(200, views.summary());
    case 'GET proxies':
      return json(200, { proxies: views.proxies() });
    case 'GET instances':
      return json(200, { instances: views.instances() });
    case 'GET services':
      return json(200, { services: views.services() });
    case 'GET edges':
      return json(200, { edges: views.edges(edgeFilter(new URL(request.url).searchParams)) });
    case 'GET resources':
      return json(200, { resources: views.resources() });
    case 'POST analyze':
      return json(200, { problems: views.analyze(await readBody(request)) });
    case 'POST registrations':
      return register(options, parseBody(await readBody(request), contentType(request)));
    case 'POST release-eviction':
      options.registry.releaseFreeze();
      return json(200, {});
    case 'POST login-link':
      return json(200, {
        link: `http://${request.headers.get('host') ?? ''}/${options.access.newLoginLink()}`,
      });
    default:
      throw new ApiError(404, `there is nothing at ${request.method} ${prefix}${segments.join('/')}`);
  }
}

function edgeFilter(query: URLSearchParams): EdgeFilter {
  const [workload, namespace] = [query.get('workload'), query.get('namespace')];
  return { ...(workload === null ? {} : { workload }), ...(namespace === null ? {} : { namespace }) };
}

function register({ registry }: MeshApiOptions, body: unknown): Response {
  const read = readRegistration(body);
  if (!read.ok) {
    const causes = read.problems.map(({ path, message }) => ({
      field: path,
      message,
      reason: 'FieldValueInvalid',
    }));
    const text = causes.map(({ field, message }) => `${field}: ${message}`).join('; ');
    throw new ApiError(422, `the registration is invalid: ${text}`, { causes });
  }
  const { registration, isHealthy } = read.request;
  return refusing(registration.namespace, registration.name, () =>
    json(201, registry.register(registration, isHealthy)),
  );
}

/** PUT renews, PUT health reports, GET outbound lists own listeners, DELETE says goodbye. */
async function handleInstance(
  { registry }: MeshApiOptions,
  request: Request,
  instance: string,
  action: string | undefined,
): Promise<Response> {
  const body = parseBody(await readBody(request), contentType(request));
  const fields = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>;
  const token = bearerToken(request) ?? (typeof fields['token'] === 'string' ? fields['token'] : '');
  if (registry.authenticate(token)?.instance !== instance) {
    const isKnown = registry.instances.has(instance);
    throw isKnown
      ? new ApiError(401, `the token is not the one of ${instance}`)
      : new ApiError(404, `${instance} is not registered, or no longer: register again`);
  }
  const [namespace = '', name = ''] = [
    instance.slice(instance.lastIndexOf('.') + 1),
    instance.slice(0, instance.lastIndexOf('.')),
  ];
  switch (`${request.method} ${action ?? ''}`) {
    case 'PUT ':
      registry.renew(instance, token);
      return json(200, {
        leaseMs: registry.leaseMsOf(instance),
        isHealthy: registry.reportedHealthy(instance),
        outbound: registry.bindings(instance),
        strictPorts: registry.strictPorts(instance),
      });
    case 'PUT health': {
      const { isHealthy, reason = '' } = fields;
      if (typeof isHealthy !== 'boolean' || typeof reason !== 'string') {
        throw new ApiError(422, 'isHealthy must be true or false, and reason a text');
      }
      return refusing(namespace, name, () => {
        registry.reportHealth(instance, token, isHealthy, reason.slice(0, maxReasonLength));
        return json(200, {});
      });
    }
    case 'GET outbound':
      return json(200, { outbound: registry.bindings(instance) });
    case 'DELETE ':
      registry.deregister(instance, token);
      return json(200, {});
    default:
      throw new ApiError(405, `${request.method} is not allowed here`);
  }
}

/** Characters of a probe's message that are kept. */
const maxReasonLength = 1024;

/** With an instance's own token the bootstrap carries it; with the API's, the operator puts it in. */
function handleBootstrap({ registry, access, bootstrap }: MeshApiOptions, request: Request): Response {
  if (request.method !== 'GET') throw new ApiError(405, `${request.method} is not allowed here`);
  const token = bearerToken(request) ?? '';
  const caller = registry.authenticate(token);
  if (caller === null) access.checkToken(request);
  const instance = new URL(request.url).searchParams.get('instance') ?? caller?.instance ?? '';
  const found = registry.instances.get(instance);
  if (found === undefined || (caller !== null && caller.instance !== instance)) {
    throw new ApiError(
      404,
      `${instance === '' ? 'no instance is named: add ?instance=NAME.NAMESPACE' : `${instance} is not registered`}`,
    );
  }
  return json(200, envoyBootstrap(found.registration, caller === null ? null : token, bootstrap));
}

function refusing(namespace: string, name: string, work: () => Response): Response {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof RegistrationRefused)) throw error;
    const key = { group: 'networking.istio.io', kind: 'WorkloadEntry', namespace, name };
    throw writeError(error.failure, key, 'workloadentries');
  }
}

function bearerToken(request: Request): string | null {
  const [scheme, token] = (request.headers.get('authorization') ?? '').split(' ');
  return scheme?.toLowerCase() === 'bearer' && token !== undefined ? token : null;
}

function contentType(request: Request): string {
  return request.headers.get('content-type') ?? '';
}
