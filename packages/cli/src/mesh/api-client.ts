/**
 * The control plane's HTTP API as commands use it: JSON in and out, the token added, refusals turned into errors
 * with the server's own words.
 */
import { MeshError } from '@sluice/runtime';
import { cliErrors } from '../errors.ts';
import type { FoundMesh } from './find-mesh.ts';

export interface ApiRequest {
  readonly method?: string;
  readonly body?: unknown;
  /** A body that is text already. */
  readonly text?: string;
  readonly contentType?: string;
  readonly accept?: string;
  /** Instead of the API's. */
  readonly token?: string;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface ApiReply<T> {
  readonly status: number;
  readonly body: T;
  /** Texts of `Warning` headers. */
  readonly warnings: readonly string[];
}

/** A refusal of the server, with its HTTP status and Kubernetes' reason. */
export class ApiRefusal extends MeshError<'api-refused'> {
  readonly status: number;
  readonly reason: string;
  /** Reasons of the single causes. */
  readonly causes: readonly string[];

  constructor(status: number, body: StatusLike) {
    super('api-refused', {
      source: 'control',
      message: body.message ?? `the control plane answered ${status}`,
    });
    this.status = status;
    this.reason = body.reason ?? '';
    this.causes = (body.details?.causes ?? []).map((cause) => cause.reason ?? '');
  }
}

interface StatusLike {
  readonly message?: string;
  readonly reason?: string;
  readonly details?: { readonly causes?: readonly { readonly reason?: string }[] };
}

const defaultTimeoutMs = 15_000;
/** Of looks at the mesh: who looks because something is wrong does not wait longer. */
export const lookTimeoutMs = 5000;

type ReachedMesh = Pick<FoundMesh, 'apiUrl' | 'token'> & Partial<Pick<FoundMesh, 'record'>>;

export class ApiClient {
  readonly #mesh: ReachedMesh;

  constructor(mesh: ReachedMesh) {
    this.#mesh = mesh;
  }

  get url(): string {
    return this.#mesh.apiUrl;
  }

  async get<T>(path: string, request: ApiRequest = {}): Promise<T> {
    return (await this.request<T>(path, request)).body;
  }

  async post<T>(path: string, body: unknown, request: ApiRequest = {}): Promise<T> {
    return (await this.request<T>(path, { ...request, method: 'POST', body })).body;
  }

  /** Throws ApiRefusal, or `control-unreachable`. */
  async request<T>(path: string, request: ApiRequest = {}): Promise<ApiReply<T>> {
    const response = await this.open(path, request);
    const text = await response.text();
    const warnings = [...(response.headers.get('warning') ?? '').matchAll(/299 \S+ "((?:[^"\\]|\\.)*)"/g)];
    return {
      status: response.status,
      body: (text === '' ? undefined : JSON.parse(text)) as T,
      warnings: warnings.map(([, message = '']) => message.replaceAll(/\\(.)/g, '$1')),
    };
  }

  /** The response as it comes, for streams. Throws as `request` does. */
  async open(path: string, request: ApiRequest = {}): Promise<Response> {
    const response = await this.#fetch(path, request);
    if (response.ok) return response;
    const status = readStatus(await response.text());
    // Without a running mesh's record the address is a guess: another mesh may listen there.
    const asked = response.status === 401 ? { message: `${this.url} says: ${status.message ?? '401'}` } : {};
    throw new ApiRefusal(response.status, { ...status, ...asked });
  }

  /** Hanging, being started again and not being there need different hands. */
  #describeSilence(cause: unknown, timeoutMs: number): string {
    const { apiUrl, record } = this.#mesh;
    const hint =
      'traffic goes on with what is configured, as long as certificates last; "sluice logs control" has its last words';
    if (isTimeout(cause))
      return `the control plane at ${apiUrl} takes connections and has not answered for ${timeoutMs / 1000} s: it hangs or is overloaded; ${hint}`;
    if (record !== undefined)
      return `the control plane at ${apiUrl} is down, and "sluice up" (process ${record.process.pid}) is there to start it again; ${hint}`;
    return `the control plane at ${apiUrl} does not answer: is the mesh running? ("sluice up" starts it, "sluice check" looks)`;
  }

  async #fetch(path: string, request: ApiRequest): Promise<Response> {
    const body = request.text ?? (request.body === undefined ? undefined : JSON.stringify(request.body));
    const timeout = AbortSignal.timeout(request.timeoutMs ?? defaultTimeoutMs);
    const signal = request.signal === undefined ? timeout : request.signal;
    try {
      return await fetch(`${this.#mesh.apiUrl}${path}`, {
        method: request.method ?? 'GET',
        signal,
        headers: {
          authorization: `Bearer ${request.token ?? this.#mesh.token}`,
          accept: request.accept ?? 'application/json',
          ...(body === undefined ? {} : { 'content-type': request.contentType ?? 'application/json' }),
        },
        ...(body === undefined ? {} : { body }),
      });
    } catch (cause) {
      if (request.signal?.aborted === true) throw cause;
      throw cliErrors.error('control-unreachable', {
        source: 'local',
        message: this.#describeSilence(cause, request.timeoutMs ?? defaultTimeoutMs),
        cause,
      });
    }
  }
}

function isTimeout(cause: unknown): boolean {
  return cause instanceof Error && cause.name === 'TimeoutError';
}

function readStatus(text: string): StatusLike {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === 'object' && parsed !== null ? parsed : {};
  } catch {
    return { message: text.slice(0, 500) };
  }
}
