/** From `reviews-v1`, `inventory/inventory-0` or `inventory-0.shop` to one registered instance. */
import { cliError } from '../errors.ts';
import type { ApiClient } from '../mesh/api-client.ts';
import { viewPaths, type InstanceView } from '../mesh/views.ts';
import { nameHint } from '../output/name-hint.ts';

/** The first replica where a workload has several. Throws `usage` with the nearest name. */
export async function findInstance(
  client: ApiClient,
  word: string,
  namespace: string | undefined,
): Promise<InstanceView> {
  const { instances } = await client.get<{ instances: readonly InstanceView[] }>(viewPaths.instances);
  return pickInstance(instances, word, namespace);
}

export function pickInstance(
  all: readonly InstanceView[],
  word: string,
  namespace: string | undefined,
): InstanceView {
  const instances =
    namespace === undefined ? all : all.filter(({ registration }) => registration.namespace === namespace);
  const [workload = '', replica] = word.split('/');
  const name = replica ?? workload;
  const exact = instances.find(
    ({ instance, registration }) => instance === name || registration.name === name,
  );
  if (exact !== undefined) return exact;
  const ofWorkload =
    replica === undefined
      ? instances.filter(
          ({ registration }) => registration.replicaOf === workload || registration.app === workload,
        )
      : [];
  const [first] = ofWorkload.sort((a, b) => (a.instance < b.instance ? -1 : 1));
  if (first !== undefined) return first;
  const known = instances.map(({ registration }) => registration.name);
  throw cliError('usage', `no instance is called "${word}": ${nameHint(name, known)}`);
}
