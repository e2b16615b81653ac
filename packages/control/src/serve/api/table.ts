/**
 * Lists as tables (`Accept: application/json;as=Table`), the form in which kubectl and our command line print:
 * the server knows the columns, the client only draws them.
 */
import type { KubeObject } from '@sluice/api';
import { columnsOf, type Column } from './columns.ts';
import { ApiError } from './status-body.ts';

export interface TableRequest {
  readonly includeObject: 'None' | 'Metadata' | 'Object';
}

/** Whether the client asked for a table, and what it wants beside the cells. */
export function readTableRequest(accept: string, query: URLSearchParams): TableRequest | null {
  const wantsTable = accept
    .split(',')
    .map((part) => part.trim())
    .find((part) => part.startsWith('application/json'));
  if (wantsTable === undefined || !/;\s*as=Table\b/.test(wantsTable)) return null;
  const includeObject = query.get('includeObject') ?? 'Metadata';
  if (includeObject !== 'None' && includeObject !== 'Metadata' && includeObject !== 'Object') {
    throw new ApiError(400, 'includeObject knows None, Metadata and Object');
  }
  return { includeObject };
}

export function toTable(
  objects: readonly KubeObject[],
  metadata: object,
  request: TableRequest,
  context: {
    readonly group: string;
    readonly kind: string;
    readonly nowMs: number;
    readonly hasHeader: boolean;
  },
): object {
  const columns = columnsOf(context.group, context.kind);
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata,
    ...(context.hasHeader ? { columnDefinitions: columns.map(describe) } : { columnDefinitions: null }),
    rows: objects.map((object) => ({
      cells: columns.map((column) => column.cell(object, context.nowMs)),
      ...includedObject(object, request),
    })),
  };
}

function describe(column: Column): object {
  return {
    name: column.name,
    type: 'string',
    format: column.name === 'Name' ? 'name' : '',
    description: column.about,
    priority: column.isWide === true ? 1 : 0,
  };
}

function includedObject(object: KubeObject, request: TableRequest): object {
  switch (request.includeObject) {
    case 'None':
      return {};
    case 'Object':
      return { object };
    case 'Metadata':
      return {
        object: { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: object.metadata },
      };
  }
}
