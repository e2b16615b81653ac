/** What every other package builds on: time, timers, randomness, log, metrics, backoff, errors. */
export { FakeClock, systemClock } from './clock.ts';
export type { Advanceable, Clock } from './clock.ts';
export { TimerNode, TimerWheel } from './timer-wheel.ts';
export type { TimerErrorHandler } from './timer-wheel.ts';
export { startTimerDriver } from './timer-driver.ts';
export type { TimerDriver, TimerDriverOptions } from './timer-driver.ts';
export { createRandom, randomHex, randomUuid, systemRandom } from './random.ts';
export type { Random } from './random.ts';
export { Logger, createLogger, logLevels, parseLogLevel } from './log.ts';
export type { LogLevel, LoggerOptions } from './log.ts';
export type { LogFields, LogFormat } from './log-format.ts';
export { MetricsRegistry } from './metrics/registry.ts';
export type { HistogramFamilyOptions, RegistryOptions } from './metrics/registry.ts';
export { Family } from './metrics/family.ts';
export type { FamilyOptions, FamilyShape } from './metrics/family.ts';
export { Counter, Gauge, Histogram } from './metrics/child.ts';
export { MetricsAggregator } from './metrics/aggregator.ts';
export { quantile } from './metrics/buckets.ts';
export {
  openMetricsContentType,
  prometheusContentType,
  renderOpenMetrics,
  renderPrometheusText,
} from './metrics/render.ts';
export type {
  Boundaries,
  FamilySnapshot,
  Labels,
  MetricType,
  MetricsSource,
  SeriesDescriptor,
  SeriesListener,
  SeriesSnapshot,
} from './metrics/series.ts';
export { reconnectBackoffMs, retryBackoffMs } from './backoff.ts';
export type { BackoffPolicy } from './backoff.ts';
export { StopRequests } from './stop-requests.ts';
export { MeshError, allErrorTables, defineErrors } from './mesh-error.ts';
export type {
  CodeOf,
  ErrorEntry,
  ErrorRetry,
  ErrorSource,
  ErrorTable,
  MeshErrorOptions,
} from './mesh-error.ts';
export { runtimeErrors } from './errors.ts';
export type { RuntimeErrorCode } from './errors.ts';
export { canonicalJson, contentHash } from './canonical-json.ts';
export { parseGoDurationMs } from './duration.ts';
export { editDistance, nearestName } from './nearest-name.ts';
export { sluiceVersion } from './version.ts';
