/**
 * Envoy's access log filters as predicates over a record. Filters that are not honoured are reported
 * with their path and let nothing through, so that a refused filter never floods a log.
 */
import { grpcStatusName, GrpcStatus, grpcStatusOfHttp } from '@sluice/wire';
import type {
  AccessLogFilter,
  ComparisonFilter,
  GrpcStatusFilter,
  HeaderFilter,
  JsonValue,
  RuntimeFilter,
} from '@sluice/xds';
import type { ProblemScope } from '../config/problems.ts';
import { compileHeaderPredicate } from '../route/header-predicate.ts';
import { shareOf } from '../route/runtime-fraction.ts';
import type { RequestRecord } from './record.ts';
import { responseFlagBit } from './response-flags.ts';

export type RecordPredicate = (record: RequestRecord) => boolean;

export interface FilterFacts {
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Static layers of the bootstrap's runtime, flattened. */
  readonly runtime: ReadonlyMap<string, JsonValue>;
}

const NOTHING: RecordPredicate = () => false;

export function compileAccessLogFilter(
  filter: AccessLogFilter,
  facts: FilterFacts,
  scope: ProblemScope,
): RecordPredicate {
  if (filter.statusCodeFilter !== undefined) {
    const at = scope.at('status_code_filter').at('comparison');
    return compileComparison(filter.statusCodeFilter.comparison, facts, at, (record) => record.status);
  }
  if (filter.durationFilter !== undefined) {
    const at = scope.at('duration_filter').at('comparison');
    return compileComparison(filter.durationFilter.comparison, facts, at, durationMs);
  }
  if (filter.notHealthCheckFilter !== undefined) return (record) => !record.isHealthCheck;
  if (filter.traceableFilter !== undefined) return (record) => record.isSampled;
  if (filter.runtimeFilter !== undefined) {
    return compileSampling(filter.runtimeFilter, facts, scope.at('runtime_filter'));
  }
  if (filter.andFilter !== undefined) {
    const parts = compileParts(filter.andFilter.filters, facts, scope.at('and_filter'));
    return (record) => parts.every((part) => part(record));
  }
  if (filter.orFilter !== undefined) {
    const parts = compileParts(filter.orFilter.filters, facts, scope.at('or_filter'));
    return (record) => parts.some((part) => part(record));
  }
  if (filter.headerFilter !== undefined) return compileHeader(filter.headerFilter, scope.at('header_filter'));
  if (filter.responseFlagFilter !== undefined) {
    return compileFlags(filter.responseFlagFilter.flags, scope.at('response_flag_filter'));
  }
  if (filter.grpcStatusFilter !== undefined) return compileGrpcStatuses(filter.grpcStatusFilter);
  if (filter.metadataFilter !== undefined)
    scope.unhonoured('metadata_filter', 'dynamic metadata is not a log filter here');
  else scope.error('names no filter');
  return NOTHING;
}

function compileComparison(
  comparison: ComparisonFilter | undefined,
  facts: FilterFacts,
  scope: ProblemScope,
  read: (record: RequestRecord) => number,
): RecordPredicate {
  if (comparison?.value === undefined) {
    scope.error('must be set');
    return NOTHING;
  }
  const { defaultValue, runtimeKey } = comparison.value;
  const override = facts.runtime.get(runtimeKey);
  const bound = typeof override === 'number' ? override : defaultValue;
  switch (comparison.op) {
    case 'EQ':
      return (record) => read(record) === bound;
    case 'GE':
      return (record) => read(record) >= bound;
    case 'LE':
      return (record) => read(record) <= bound;
  }
}

/** By a fraction of requests; the runtime key, where the bootstrap sets it, is a percentage. */
function compileSampling(filter: RuntimeFilter, facts: FilterFacts, scope: ProblemScope): RecordPredicate {
  if (filter.runtimeKey === '') scope.at('runtime_key').error('must not be empty');
  const override = facts.runtime.get(filter.runtimeKey);
  const share = typeof override === 'number' ? override / 100 : shareOf(filter.percentSampled);
  if (filter.useIndependentRandomness) return () => facts.random() < share;
  // As in Envoy: the same request is judged alike by every hop, from its request id.
  return (record) => shareOfRequestId(record.requestId, facts.random) < share;
}

/** 32 bits of the request id, which a UUID spreads evenly, as a share; random without one. */
function shareOfRequestId(requestId: string, random: () => number): number {
  const bits = Number.parseInt(requestId.slice(0, 8), 16);
  return Number.isNaN(bits) ? random() : bits / 2 ** 32;
}

function compileParts(
  filters: readonly AccessLogFilter[],
  facts: FilterFacts,
  scope: ProblemScope,
): RecordPredicate[] {
  if (filters.length < 2) scope.at('filters').error('needs at least two filters');
  return filters.map((filter, i) => compileAccessLogFilter(filter, facts, scope.at('filters', i)));
}

function compileHeader(filter: HeaderFilter, scope: ProblemScope): RecordPredicate {
  if (filter.header === undefined) {
    scope.at('header').error('must be set');
    return NOTHING;
  }
  const holds = compileHeaderPredicate(filter.header, scope.at('header'));
  return (record) => record.requestHeaders !== null && holds(record.requestHeaders);
}

function compileFlags(names: readonly string[], scope: ProblemScope): RecordPredicate {
  let wanted = 0;
  for (const [i, name] of names.entries()) {
    const bit = responseFlagBit(name);
    if (bit === undefined || bit === 0) scope.at('flags', i).error(`"${name}" is not a response flag`);
    else wanted |= bit;
  }
  // Without names: any flag.
  return names.length === 0 ? (record) => record.flags !== 0 : (record) => (record.flags & wanted) !== 0;
}

/** As in Envoy, a request that is not gRPC has the status that stands for its HTTP status. */
function compileGrpcStatuses({ statuses, exclude }: GrpcStatusFilter): RecordPredicate {
  const wanted = new Set(statuses.map(grpcStatusNumber));
  return (record) => {
    const status = record.grpcStatus < 0 ? grpcStatusOfHttp(record.status) : record.grpcStatus;
    return wanted.has(status) !== exclude;
  };
}

function grpcStatusNumber(name: GrpcStatusFilter['statuses'][number]): number {
  for (let status = 0; status <= GrpcStatus.unauthenticated; status++) {
    if (grpcStatusName(status).replace('CANCELLED', 'CANCELED') === name) return status;
  }
  throw new Error(`${name} is not in the table of gRPC statuses`);
}

function durationMs(record: RequestRecord): number {
  return Math.max(0, Math.floor(record.responseEndMs - record.startMs));
}
