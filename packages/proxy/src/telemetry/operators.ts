/**
 * The operators of Envoy's format strings that the proxy honours, compiled once per configuration.
 *
 * A compiled operator is a code to switch on and everything that can be looked up beforehand: header
 * name ids, a time format, constants. Operators not in this table are configuration errors by name.
 */
import { internName, type NameId } from '@sluice/wire';
import {
  compileTimeFormat,
  DEFAULT_START_TIME,
  DEFAULT_START_TIME_LOCAL,
  type TimeFormat,
} from './start-time.ts';
import { tlsOperatorNames, type TlsOperatorName } from './tls-operators.ts';

/** What kind of value an operator gives; decides its JSON type and how it is written. */
export type ValueKind =
  'number' | 'text' | 'octets' | 'header' | 'address' | 'time' | 'constant' | 'metadata';

export interface CompiledOperator {
  readonly name: OperatorName;
  readonly kind: ValueKind;
  /** Characters of the value that are kept; -1 = all. */
  readonly maxLength: number;
  readonly header: HeaderReference | null;
  readonly alternative: HeaderReference | null;
  readonly time: TimeFormat | null;
  readonly constant: string | null;
  /** Namespace and keys of dynamic metadata. */
  readonly path: readonly string[];
}

export interface HeaderReference {
  /** Lower case; pseudo headers keep their colon. */
  readonly name: string;
  /** 0 when the name could not be interned, and for pseudo headers. */
  readonly id: NameId;
}

/** What formats read of the process; nothing here changes while it runs. */
export interface ProcessFacts {
  readonly hostname: string;
  /** Value of an environment variable, or null when it is not set. */
  environment(name: string): string | null;
}

type Argument = 'none' | 'header' | 'time' | 'metadata' | 'variable' | 'grpcFormat';

interface Specification {
  readonly kind: ValueKind;
  readonly argument: Argument;
}

const number: Specification = { kind: 'number', argument: 'none' };
const text: Specification = { kind: 'text', argument: 'none' };
const octets: Specification = { kind: 'octets', argument: 'none' };
const address: Specification = { kind: 'address', argument: 'none' };
const header: Specification = { kind: 'header', argument: 'header' };
const time: Specification = { kind: 'time', argument: 'time' };

const SPECIFICATIONS = {
  START_TIME: time,
  START_TIME_LOCAL: time,
  REQ: header,
  RESP: header,
  TRAILER: header,
  PROTOCOL: text,
  RESPONSE_CODE: number,
  RESPONSE_CODE_DETAILS: text,
  RESPONSE_FLAGS: text,
  RESPONSE_FLAGS_LONG: text,
  CONNECTION_TERMINATION_DETAILS: text,
  UPSTREAM_TRANSPORT_FAILURE_REASON: octets,
  DOWNSTREAM_TRANSPORT_FAILURE_REASON: octets,
  BYTES_RECEIVED: number,
  BYTES_SENT: number,
  UPSTREAM_WIRE_BYTES_SENT: number,
  UPSTREAM_WIRE_BYTES_RECEIVED: number,
  DURATION: number,
  REQUEST_DURATION: number,
  RESPONSE_DURATION: number,
  RESPONSE_TX_DURATION: number,
  UPSTREAM_HOST: text,
  UPSTREAM_HOST_NAME: text,
  UPSTREAM_CLUSTER: text,
  UPSTREAM_CLUSTER_RAW: text,
  UPSTREAM_LOCAL_ADDRESS: text,
  UPSTREAM_REQUEST_ATTEMPT_COUNT: number,
  DOWNSTREAM_LOCAL_ADDRESS: address,
  DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT: address,
  DOWNSTREAM_LOCAL_PORT: number,
  DOWNSTREAM_REMOTE_ADDRESS: address,
  DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: address,
  DOWNSTREAM_REMOTE_PORT: number,
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS: address,
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT: address,
  DOWNSTREAM_DIRECT_REMOTE_PORT: number,
  REQUESTED_SERVER_NAME: octets,
  ROUTE_NAME: text,
  HOSTNAME: { kind: 'constant', argument: 'none' },
  ENVIRONMENT: { kind: 'constant', argument: 'variable' },
  STREAM_ID: octets,
  TRACE_ID: octets,
  GRPC_STATUS: { kind: 'text', argument: 'grpcFormat' },
  GRPC_STATUS_NUMBER: number,
  DYNAMIC_METADATA: { kind: 'metadata', argument: 'metadata' },
} as const satisfies Record<string, Specification>;

export type OperatorName = keyof typeof SPECIFICATIONS | TlsOperatorName;

const specifications: ReadonlyMap<string, Specification> = new Map<string, Specification>([
  ...Object.entries(SPECIFICATIONS),
  ...tlsOperatorNames.map((name) => [name, octets] as const),
]);

/** Null (with words in `problems`) for an unknown operator or an argument it cannot take. */
export function compileOperator(
  name: string,
  argument: string,
  maxLength: number | undefined,
  process: ProcessFacts,
  problems: string[],
): CompiledOperator | null {
  const specification = specifications.get(name);
  if (specification === undefined) {
    problems.push(`unknown operator %${name}%`);
    return null;
  }
  const operator: CompiledOperator = {
    name: name as OperatorName,
    kind: specification.kind,
    maxLength: maxLength ?? -1,
    header: null,
    alternative: null,
    time: null,
    constant: null,
    path: [],
  };
  switch (specification.argument) {
    case 'none': {
      if (argument !== '') problems.push(`operator %${name}% takes no argument, found "${argument}"`);
      if (argument !== '') return null;
      return name === 'HOSTNAME' ? { ...operator, constant: process.hostname } : operator;
    }
    case 'header': {
      const references = readHeaderReferences(name, argument, problems);
      return references && { ...operator, ...references };
    }
    case 'time': {
      const isLocal = name === 'START_TIME_LOCAL';
      const pattern = argument !== '' ? argument : isLocal ? DEFAULT_START_TIME_LOCAL : DEFAULT_START_TIME;
      const compiled = compileTimeFormat(pattern, isLocal ? 'local' : 'utc', problems);
      return compiled && { ...operator, time: compiled };
    }
    case 'metadata': {
      const path = argument.split(':');
      if (path[0] !== '') return { ...operator, path };
      problems.push(`operator %${name}% needs a namespace, e.g. %${name}(istio.authz:policy)%`);
      return null;
    }
    case 'grpcFormat':
      return readGrpcFormat(operator, argument, problems);
    case 'variable': {
      if (argument !== '') return { ...operator, constant: process.environment(argument) };
      problems.push(`operator %${name}% needs the name of an environment variable`);
      return null;
    }
  }
}

/** `path` says which of the two spellings; as a number it is another operator. */
function readGrpcFormat(
  operator: CompiledOperator,
  argument: string,
  problems: string[],
): CompiledOperator | null {
  switch (argument) {
    case '':
    case 'CAMEL_STRING':
      return { ...operator, path: ['CAMEL_STRING'] };
    case 'SNAKE_STRING':
      return { ...operator, path: ['SNAKE_STRING'] };
    case 'NUMBER':
      return { ...operator, name: 'GRPC_STATUS_NUMBER', kind: 'number' };
    default:
      problems.push(
        `operator %${operator.name}% takes CAMEL_STRING, SNAKE_STRING or NUMBER, found "${argument}"`,
      );
      return null;
  }
}

const PSEUDO_HEADERS: ReadonlySet<string> = new Set([':method', ':path', ':authority', ':scheme', ':status']);
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

function readHeaderReferences(
  name: string,
  argument: string,
  problems: string[],
): { header: HeaderReference; alternative: HeaderReference | null } | null {
  const names = argument.split('?');
  const [first = '', second] = names;
  if (names.length > 2) problems.push(`operator %${name}% takes one alternative, found "${argument}"`);
  const main = readHeaderReference(name, first, problems);
  const alternative = second === undefined ? null : readHeaderReference(name, second, problems);
  if (main === null || names.length > 2 || (second !== undefined && alternative === null)) return null;
  return { header: main, alternative };
}

function readHeaderReference(operator: string, name: string, problems: string[]): HeaderReference | null {
  const lower = name.toLowerCase();
  if (PSEUDO_HEADERS.has(lower)) return { name: lower, id: 0 };
  if (TOKEN.test(lower)) return { name: lower, id: internName(lower) };
  problems.push(`operator %${operator}% needs a header name, found "${name}"`);
  return null;
}
