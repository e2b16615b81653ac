/** `sluice get`: resources as tables, JSON, YAML or names, once or as they change. */
import type { KubeObject } from '@sluice/api';
import type { CommandContext } from '../context.ts';
import { cliError, exitStatus } from '../errors.ts';
import { ApiRefusal } from '../mesh/api-client.ts';
import { tableType, type ListOptions, type TableReply, type TableRow } from '../mesh/kube-client.ts';
import { renderAs } from '../output/structured.ts';
import { orNone, renderTable } from '../output/table.ts';
import { connect, type Connection } from './connect.ts';
import { readNamespace, readResourceRefs, type ResourceRef } from './resource-args.ts';

export async function run(context: CommandContext): Promise<number> {
  const { args, out } = context;
  const refs = readResourceRefs(args.positional);
  const connection = connect(context);
  const options = { namespace: readNamespace(args), selector: args.text('selector') };
  const format = args.text('output') ?? 'table';
  if (args.has('watch')) return watch(context, connection, refs, options, format);
  if (format === 'table' || format === 'wide')
    return printTables(context, connection, refs, options, format === 'wide');
  const { found, isWhole } = await gather(context, refs, (ref) => fetchObjects(connection, ref, options));
  const objects = found.flatMap(({ reply }) => reply);
  if (format === 'name') out.write(objects.map((object) => `${nameOf(object)}\n`).join(''));
  else if (refs.length === 1 && refs[0]?.name !== undefined) out.write(renderAs(format, objects[0]));
  else out.write(renderAs(format, { apiVersion: 'v1', kind: 'List', metadata: {}, items: objects }));
  return isWhole ? exitStatus.done : exitStatus.failed;
}

interface Gathered<T> {
  readonly found: readonly { readonly ref: ResourceRef; readonly reply: T }[];
  readonly isWhole: boolean;
}

/** Of several names one may not exist: the others are shown, and it is told. One alone fails as it is. */
async function gather<T>(
  { out }: CommandContext,
  refs: readonly ResourceRef[],
  fetch: (ref: ResourceRef) => Promise<T>,
): Promise<Gathered<T>> {
  let isWhole = true;
  const replies = await Promise.all(
    refs.map(async (ref) => {
      try {
        return [{ ref, reply: await fetch(ref) }];
      } catch (error) {
        if (!(error instanceof ApiRefusal) || error.status !== 404 || refs.length === 1) throw error;
        isWhole = false;
        out.writeError(`${out.palette.bad('error')}: ${error.message}\n`);
        return [];
      }
    }),
  );
  return { found: replies.flat(), isWhole };
}

async function fetchObjects(
  { kube }: Connection,
  { kind, name }: ResourceRef,
  options: ListOptions,
): Promise<readonly KubeObject[]> {
  if (name === undefined) return (await kube.list(kind, options)).items;
  return [await kube.get(kind, namespaceFor(options), name)];
}

async function printTables(
  context: CommandContext,
  { kube }: Connection,
  refs: readonly ResourceRef[],
  options: ListOptions,
  isWide: boolean,
): Promise<number> {
  const { out } = context;
  const { found, isWhole } = await gather(context, refs, ({ kind, name }) =>
    name === undefined ? kube.table(kind, options) : kube.tableOf(kind, namespaceFor(options), name),
  );
  const filled = oneTableEach(found.filter(({ reply }) => reply.rows.length > 0));
  if (!isWhole && filled.length === 0) return exitStatus.failed;
  if (filled.length === 0) {
    out.writeError(
      options.namespace === undefined
        ? 'nothing found\n'
        : `nothing found in namespace ${options.namespace} (-A looks in all)\n`,
    );
    return exitStatus.done;
  }
  const showsKind = new Set(refs.map(({ kind }) => kind)).size > 1;
  const texts = filled.map(({ reply, ref }) =>
    drawTable(reply, {
      isWide,
      showsNamespace: options.namespace === undefined,
      prefix: showsKind ? `${ref.kind.singular}/` : '',
    }),
  );
  out.write(texts.join('\n'));
  return isWhole ? exitStatus.done : exitStatus.failed;
}

/** Several names of one kind share their table. */
function oneTableEach(found: Gathered<TableReply>['found']): Gathered<TableReply>['found'] {
  const byKind = Map.groupBy(found, ({ ref }) => ref.kind);
  return [...byKind.values()].flatMap((same) => {
    const [first] = same;
    if (first === undefined) return [];
    return [{ ref: first.ref, reply: { ...first.reply, rows: same.flatMap(({ reply }) => reply.rows) } }];
  });
}

interface DrawOptions {
  readonly isWide: boolean;
  readonly showsNamespace: boolean;
  /** Before each name. */
  readonly prefix: string;
}

export function drawTable(
  { columnDefinitions, rows }: TableReply,
  { isWide, showsNamespace, prefix }: DrawOptions,
): string {
  const columns = (columnDefinitions ?? [])
    .map((column, index) => ({ ...column, index }))
    .filter(({ priority }) => isWide || priority === 0);
  const head = columns.map(({ name }) => name.toUpperCase());
  const cells = rows.map((row) => [
    ...(showsNamespace ? [orNone(row.object.metadata.namespace ?? '')] : []),
    ...columns.map(({ index }) => `${index === 0 ? prefix : ''}${orNone(cellText(row, index))}`),
  ]);
  return renderTable([...(showsNamespace ? ['NAMESPACE'] : []), ...head], cells);
}

function cellText(row: TableRow, index: number): string {
  const cell = row.cells[index];
  return cell === null || cell === undefined ? '' : String(cell);
}

interface WatchEvent {
  readonly type: string;
  readonly object: unknown;
}

async function watch(
  context: CommandContext,
  { kube }: Connection,
  refs: readonly ResourceRef[],
  options: ListOptions,
  format: string,
): Promise<number> {
  const { out, signals } = context;
  const [ref, second] = refs;
  if (ref === undefined || second !== undefined) throw cliError('usage', '--watch takes one kind at a time');
  const isTable = format === 'table' || format === 'wide';
  const draw = { isWide: format === 'wide', showsNamespace: options.namespace === undefined, prefix: '' };
  const first = isTable ? await kube.table(ref.kind, options) : await kube.list(ref.kind, options);
  const isMeant = (metadata: KubeObject['metadata']): boolean =>
    ref.name === undefined || metadata.name === ref.name;
  let definitions: TableReply['columnDefinitions'] = null;
  if ('rows' in first) {
    definitions = first.columnDefinitions;
    out.write(drawTable({ ...first, rows: first.rows.filter((row) => isMeant(row.object.metadata)) }, draw));
  } else
    for (const item of first.items.filter((item) => isMeant(item.metadata))) out.write(present(format, item));
  const abort = new AbortController();
  const listening = signals.listen(() => abort.abort());
  try {
    const from = {
      resourceVersion: first.metadata.resourceVersion,
      accept: isTable ? tableType : 'application/json',
      signal: abort.signal,
    };
    for await (const event of kube.watch(ref.kind, options, from)) {
      const { type, object } = event as WatchEvent;
      if (type === 'BOOKMARK') continue;
      if (type === 'ERROR')
        throw cliError('api-refused', `the watch ended: ${(object as { message?: string }).message ?? ''}`);
      if (!isTable) {
        if (isMeant((object as KubeObject).metadata)) out.write(present(format, object as KubeObject));
        continue;
      }
      const rows = (object as TableReply).rows.filter((row) => isMeant(row.object.metadata));
      const text = drawTable({ ...(object as TableReply), columnDefinitions: definitions, rows }, draw);
      if (rows.length > 0) out.write(text.slice(text.indexOf('\n') + 1));
    }
  } catch (error) {
    if (!abort.signal.aborted) throw error;
  } finally {
    listening.stop();
  }
  return exitStatus.done;
}

function present(format: string, object: KubeObject): string {
  if (format === 'name') return `${nameOf(object)}\n`;
  return format === 'yaml' ? `---\n${renderAs(format, object)}` : renderAs(format, object);
}

/** `virtualservice.networking.istio.io/reviews`, as kubectl's `-o name`. */
export function nameOf(object: KubeObject): string {
  const group = object.apiVersion.includes('/')
    ? `.${object.apiVersion.slice(0, object.apiVersion.indexOf('/'))}`
    : '';
  return `${object.kind.toLowerCase()}${group}/${object.metadata.name}`;
}

function namespaceFor({ namespace }: ListOptions): string {
  if (namespace === undefined)
    throw cliError('usage', 'a name is looked up in one namespace: leave out -A, or give -n');
  return namespace;
}
