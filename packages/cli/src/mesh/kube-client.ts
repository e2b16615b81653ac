/** Resources over the control plane's Kubernetes API: paths, lists, and writes by kind. */
import { storageApiVersion, type KindInfo, type KubeObject } from '@sluice/api';
import { ApiRefusal, type ApiClient, type ApiReply, type ApiRequest } from './api-client.ts';

export interface ListOptions {
  /** Undefined for all namespaces. */
  readonly namespace: string | undefined;
  readonly selector?: string | undefined;
}

export interface ObjectList {
  readonly metadata: { readonly resourceVersion: string };
  readonly items: readonly KubeObject[];
}

export interface TableReply {
  readonly metadata: { readonly resourceVersion: string };
  readonly columnDefinitions: readonly { readonly name: string; readonly priority: number }[] | null;
  readonly rows: readonly TableRow[];
}

export interface TableRow {
  readonly cells: readonly unknown[];
  readonly object: { readonly metadata: KubeObject['metadata'] };
}

export interface WriteOptions {
  readonly isDryRun: boolean;
  readonly adopts: boolean;
}

export const tableType = 'application/json;as=Table;v=v1;g=meta.k8s.io';

export class KubeClient {
  readonly #client: ApiClient;

  constructor(client: ApiClient) {
    this.#client = client;
  }

  async list(kind: KindInfo, options: ListOptions): Promise<ObjectList> {
    const list = await this.#client.get<ObjectList>(listPath(kind, options));
    // Items of a list come without apiVersion and kind on some servers.
    const items = list.items.map((item) => ({
      ...item,
      apiVersion: item.apiVersion ?? storageApiVersion(kind),
      kind: item.kind ?? kind.kind,
    }));
    return { ...list, items };
  }

  table(kind: KindInfo, options: ListOptions): Promise<TableReply> {
    return this.#client.get<TableReply>(listPath(kind, options), { accept: tableType });
  }

  tableOf(kind: KindInfo, namespace: string, name: string): Promise<TableReply> {
    return this.#client.get<TableReply>(objectPath(kind, namespace, name), { accept: tableType });
  }

  get(kind: KindInfo, namespace: string, name: string): Promise<KubeObject> {
    return this.#client.get<KubeObject>(objectPath(kind, namespace, name));
  }

  /** Null when it does not exist. */
  async find(kind: KindInfo, namespace: string, name: string): Promise<KubeObject | null> {
    try {
      return await this.get(kind, namespace, name);
    } catch (error) {
      if (error instanceof ApiRefusal && error.status === 404) return null;
      throw error;
    }
  }

  create(kind: KindInfo, object: KubeObject, options: WriteOptions): Promise<ApiReply<KubeObject>> {
    const path = `${collectionPath(kind, object.metadata.namespace)}${writeQuery(options)}`;
    return this.#client.request<KubeObject>(path, { method: 'POST', body: object });
  }

  replace(kind: KindInfo, object: KubeObject, options: WriteOptions): Promise<ApiReply<KubeObject>> {
    const path = `${objectPath(kind, object.metadata.namespace ?? '', object.metadata.name)}${writeQuery(options)}`;
    return this.#client.request<KubeObject>(path, { method: 'PUT', body: object });
  }

  async remove(kind: KindInfo, namespace: string, name: string, isDryRun: boolean): Promise<void> {
    const path = `${objectPath(kind, namespace, name)}${writeQuery({ isDryRun, adopts: false })}`;
    await this.#client.request(path, { method: 'DELETE' });
  }

  /** Events as they come, until the signal or the server ends it. */
  async *watch(
    kind: KindInfo,
    options: ListOptions,
    from: { resourceVersion: string; accept: string; signal: AbortSignal },
  ): AsyncGenerator<unknown> {
    const base = listPath(kind, options);
    const query = `watch=true&resourceVersion=${from.resourceVersion}&allowWatchBookmarks=true`;
    const request: ApiRequest = { accept: from.accept, signal: from.signal };
    const response = await this.#client.open(`${base}${base.includes('?') ? '&' : '?'}${query}`, request);
    const decoder = new TextDecoder();
    let partial = '';
    for await (const chunk of response.body ?? []) {
      const lines = (partial + decoder.decode(chunk, { stream: true })).split('\n');
      partial = lines.pop() ?? '';
      for (const line of lines) if (line.trim() !== '') yield JSON.parse(line);
    }
  }
}

function collectionPath(kind: KindInfo, namespace: string | undefined): string {
  const group = kind.group === '' ? `/api/${kind.version}` : `/apis/${kind.group}/${kind.version}`;
  const scope =
    kind.namespaced && namespace !== undefined ? `/namespaces/${encodeURIComponent(namespace)}` : '';
  return `${group}${scope}/${kind.plural}`;
}

function objectPath(kind: KindInfo, namespace: string, name: string): string {
  return `${collectionPath(kind, namespace)}/${encodeURIComponent(name)}`;
}

function listPath(kind: KindInfo, { namespace, selector }: ListOptions): string {
  const query =
    selector === undefined || selector === '' ? '' : `?labelSelector=${encodeURIComponent(selector)}`;
  return `${collectionPath(kind, namespace)}${query}`;
}

function writeQuery({ isDryRun, adopts }: WriteOptions): string {
  const parts = [...(isDryRun ? ['dryRun=All'] : []), ...(adopts ? ['adopt=true'] : [])];
  return parts.length === 0 ? '' : `?${parts.join('&')}`;
}
