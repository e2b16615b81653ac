/** `sluice diff -f`: what an apply would change. Exit status 1 when something would. */
import type { KubeObject, ReadObject } from '@sluice/api';
import type { CommandContext } from '../context.ts';
import { exitStatus } from '../errors.ts';
import { ApiRefusal } from '../mesh/api-client.ts';
import type { KubeClient } from '../mesh/kube-client.ts';
import { maskSecrets } from '../output/secret-text.ts';
import { renderYaml } from '../output/structured.ts';
import { unifiedDiff } from '../output/unified-diff.ts';
import { applyOne } from './apply.ts';
import { connect } from './connect.ts';
import { nameOf } from './get.ts';
import { readUsableFiles } from './read-files.ts';

/** Something could not be compared, as kubectl's `diff` counts it. */
const couldNotCompare = 2;

export async function run(context: CommandContext): Promise<number> {
  const { out, args } = context;
  const objects = await readUsableFiles(context);
  const { kube } = connect(context);
  let [differs, hasFailed] = [false, false];
  for (const read of objects) {
    try {
      const text = await diffOne(kube, read, args.has('adopt'));
      if (text !== '') differs = true;
      out.write(colour(text, out.palette));
    } catch (error) {
      if (!(error instanceof ApiRefusal)) throw error;
      hasFailed = true;
      out.writeError(
        `${out.palette.bad('error')}: ${read.origin.file}:${read.origin.line}: ${error.message}\n`,
      );
    }
  }
  return hasFailed ? couldNotCompare : differs ? exitStatus.failed : exitStatus.done;
}

async function diffOne(kube: KubeClient, read: ReadObject, adopts: boolean): Promise<string> {
  const { kind, object } = read;
  const live = await kube.find(kind, object.metadata.namespace ?? 'default', object.metadata.name);
  const { object: merged } = await applyOne(kube, read, { isDryRun: true, adopts });
  const name = nameOf(merged);
  const { before, after } = maskSecrets(live, merged);
  return unifiedDiff(before === null ? '' : comparable(before), comparable(after), {
    before: `live/${name}`,
    after: `merged/${name}`,
  });
}

/** Without what changes at every write and says nothing. */
function comparable(object: KubeObject): string {
  const { status: _status, ...rest } = object;
  const {
    resourceVersion: _version,
    generation: _generation,
    uid: _uid,
    creationTimestamp: _created,
    managedFields: _fields,
    ...metadata
  } = object.metadata;
  const annotations = Object.entries(metadata.annotations ?? {}).filter(
    ([name]) => !name.startsWith('kubectl.kubernetes.io/'),
  );
  const { annotations: _annotations, ...plain } = metadata;
  return renderYaml({
    ...rest,
    metadata: annotations.length === 0 ? plain : { ...plain, annotations: Object.fromEntries(annotations) },
  });
}

function colour(text: string, palette: CommandContext['out']['palette']): string {
  if (!palette.isColoured) return text;
  return text.replaceAll(/^[-+].*$/gm, (line) =>
    line.startsWith('-') ? palette.bad(line) : palette.good(line),
  );
}
