/** What nearly every command begins with: the mesh, and clients for it. */
import type { CommandContext } from '../context.ts';
import { ApiClient } from '../mesh/api-client.ts';
import { findMesh, type FoundMesh } from '../mesh/find-mesh.ts';
import { KubeClient } from '../mesh/kube-client.ts';

export interface Connection {
  readonly mesh: FoundMesh;
  readonly client: ApiClient;
  readonly kube: KubeClient;
}

export function connect(context: CommandContext): Connection {
  const mesh = findMesh(context);
  if (mesh.abandonment !== undefined) {
    const { out } = context;
    out.writeError(`${out.palette.warn('warning')}: ${mesh.abandonment}\n`);
  }
  const client = new ApiClient(mesh);
  return { mesh, client, kube: new KubeClient(client) };
}
