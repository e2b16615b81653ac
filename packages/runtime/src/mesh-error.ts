/**
 * The one error class of the mesh, and the tables of its codes.
 *
 * Code decides: whoever handles an error branches on `code`, never on the message. Each package declares
 * its codes in one `errors.ts` by `defineErrors`, which yields the closed union of its codes and enters the
 * table in the list from which docs/errors.md is generated. Messages hold no secrets and no peer's text.
 */

/** Who caused it, seen from the process that reports it. */
export type ErrorSource = 'downstream' | 'upstream' | 'local' | 'control';

/**
 * Whether the same request may be sent again: 'safe' when it was provably not processed, 'if-reused' when
 * only a kept-alive connection that died explains it, 'never' otherwise.
 */
export type ErrorRetry = 'never' | 'safe' | 'if-reused';

export interface ErrorEntry<Code extends string = string> {
  /** Kebab-case; appears in `x-sluice-reason`, logs and statuses, and never changes its meaning. */
  readonly code: Code;
  readonly meaning: string;
  readonly httpStatus?: number;
  readonly grpcStatus?: number;
  /** Envoy's access-log flag. */
  readonly responseFlag?: string;
  /** What an operator should do about it. */
  readonly action: string;
}

export interface MeshErrorOptions {
  readonly source: ErrorSource;
  /** Default 'never'. */
  readonly retry?: ErrorRetry;
  /** Detail for the operator; the table's meaning when absent. */
  readonly message?: string;
  readonly cause?: unknown;
}

export class MeshError<Code extends string = string> extends Error {
  override readonly name = 'MeshError';
  readonly code: Code;
  readonly source: ErrorSource;
  readonly retry: ErrorRetry;

  constructor(code: Code, options: MeshErrorOptions) {
    super(options.message ?? code, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.source = options.source;
    this.retry = options.retry ?? 'never';
  }
}

export interface ErrorTable<Code extends string = string> {
  readonly packageName: string;
  readonly entries: readonly ErrorEntry<Code>[];
  entry(code: Code): ErrorEntry<Code>;
  has(code: string): code is Code;
  /** A MeshError with this code, the entry's meaning as its message unless another is given. */
  error(code: Code, options: MeshErrorOptions): MeshError<Code>;
}

/** The closed union of a table's codes: `type ProxyErrorCode = CodeOf<typeof proxyErrors>`. */
export type CodeOf<T> = T extends ErrorTable<infer Code> ? Code : never;

const tables = new Map<string, ErrorTable>();

/** Declares a package's codes. Throws on a code or package declared twice: a programming error. */
export function defineErrors<const T extends readonly ErrorEntry[]>(
  packageName: string,
  entries: T,
): ErrorTable<T[number]['code']> {
  const byCode = new Map<string, ErrorEntry<T[number]['code']>>();
  for (const entry of entries) {
    const owner = byCode.has(entry.code) ? packageName : ownerOf(entry.code);
    if (owner !== undefined)
      throw new Error(`error code "${entry.code}" of ${packageName} is declared by ${owner}`);
    byCode.set(entry.code, entry);
  }
  if (tables.has(packageName)) throw new Error(`the errors of ${packageName} are declared twice`);
  const entry = (code: T[number]['code']): ErrorEntry<T[number]['code']> => byCode.get(code)!;
  const table: ErrorTable<T[number]['code']> = {
    packageName,
    entries: [...byCode.values()],
    entry,
    has: (code): code is T[number]['code'] => byCode.has(code),
    error: (code, options) =>
      new MeshError(code, { ...options, message: options.message ?? entry(code).meaning }),
  };
  tables.set(packageName, table);
  return table;
}

/** Every table of the packages loaded so far, by package name. */
export function allErrorTables(): readonly ErrorTable[] {
  return [...tables.values()].sort((a, b) => (a.packageName < b.packageName ? -1 : 1));
}

function ownerOf(code: string): string | undefined {
  for (const table of tables.values()) if (table.has(code)) return table.packageName;
  return undefined;
}
