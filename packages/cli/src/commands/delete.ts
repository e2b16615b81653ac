/** `sluice delete`: by kind and name, by labels, or everything that files name. */
import type { KindInfo } from '@sluice/api';
import type { CommandContext } from '../context.ts';
import { cliError, exitStatus } from '../errors.ts';
import { ApiRefusal } from '../mesh/api-client.ts';
import type { KubeClient } from '../mesh/kube-client.ts';
import { connect } from './connect.ts';
import { readUsableFiles } from './read-files.ts';
import { readNamespace, readResourceRefs } from './resource-args.ts';

interface Target {
  readonly kind: KindInfo;
  readonly namespace: string;
  readonly name: string;
}

export async function run(context: CommandContext): Promise<number> {
  const { args, out } = context;
  const { kube } = connect(context);
  const isDryRun = args.text('dry-run') !== undefined;
  const targets =
    args.list('filename').length > 0 ? await targetsOfFiles(context) : await targetsOfWords(context, kube);
  if (targets.length === 0) out.writeError('nothing to delete\n');
  let hasFailed = false;
  for (const { kind, namespace, name } of targets) {
    try {
      await kube.remove(kind, namespace, name, isDryRun);
      out.write(
        `${kind.singular}${kind.group === '' ? '' : `.${kind.group}`} "${name}" deleted${isDryRun ? ' (server dry run)' : ''}\n`,
      );
    } catch (error) {
      if (!(error instanceof ApiRefusal)) throw error;
      if (error.status === 404 && args.has('ignore-not-found')) continue;
      hasFailed = true;
      out.writeError(`${out.palette.bad('error')}: ${error.message}\n`);
    }
  }
  return hasFailed ? exitStatus.failed : exitStatus.done;
}

async function targetsOfFiles(context: CommandContext): Promise<readonly Target[]> {
  const objects = await readUsableFiles(context);
  return objects.map(({ kind, object }) => ({
    kind,
    namespace: object.metadata.namespace ?? 'default',
    name: object.metadata.name,
  }));
}

async function targetsOfWords({ args }: CommandContext, kube: KubeClient): Promise<readonly Target[]> {
  const refs = readResourceRefs(args.positional);
  const namespace = readNamespace(args);
  const selector = args.text('selector');
  const targets: Target[] = [];
  for (const { kind, name } of refs) {
    if (name !== undefined) {
      if (namespace === undefined)
        throw cliError('usage', 'a name is looked up in one namespace: leave out -A, or give -n');
      targets.push({ kind, namespace, name });
      continue;
    }
    if (selector === undefined && !args.has('all'))
      throw cliError('usage', `name the ${kind.plural} to delete, select them with -l, or say --all`);
    const { items } = await kube.list(kind, { namespace, selector });
    targets.push(
      ...items.map(({ metadata }) => ({ kind, namespace: metadata.namespace ?? '', name: metadata.name })),
    );
  }
  return targets;
}
