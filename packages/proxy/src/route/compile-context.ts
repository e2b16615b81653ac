/**
 * What compiling a route table needs to know of its surroundings. The same on the main thread (check
 * only) and in data loops (in earnest), so that a NACK carries every error a loop could find.
 */
import type { Any, JsonValue } from '@sluice/xds';
import type { ProblemScope } from '../config/problems.ts';
import type { ProcessFacts } from '../telemetry/operators.ts';

export interface RouteCompileContext {
  readonly process: ProcessFacts;
  /** Static layers of the bootstrap's runtime, flattened: `a.b` → value. */
  readonly runtime: ReadonlyMap<string, JsonValue>;
  /** Compiles `typed_per_filter_config`; undefined when it could not (problems say why). */
  compilePerFilter(name: string, config: Any, scope: ProblemScope): unknown;
}
