/** What other packages may use of @sluice/api. */
export * from './object.ts';
export * from './position.ts';
export * from './problem.ts';
export * from './registration.ts';
export * from './duration.ts';
export * from './hosts.ts';
export * from './kinds.ts';
export * from './kind-lookup.ts';
export * from './selector.ts';
export * from './status-fields.ts';
export * from './resource-types.ts';
export * from './secret-content.ts';
export * from './patch/json.ts';
export * from './patch/merge-patch.ts';
export * from './patch/json-patch.ts';
export * from './patch/apply.ts';
export type * from './schema/core/endpoints.ts';
export type * from './schema/core/pod.ts';
export type * from './schema/core/secret.ts';
export type * from './schema/core/service.ts';
export type * from './schema/gateway-api/gateway.ts';
export type * from './schema/gateway-api/http-filters.ts';
export type * from './schema/gateway-api/http-route.ts';
export type * from './schema/gateway-api/reference-grant.ts';
export type * from './schema/gateway-api/references.ts';
export type * from './schema/istio/destination-rule.ts';
export type * from './schema/istio/destination.ts';
export type * from './schema/istio/gateway.ts';
export type * from './schema/istio/peer-authentication.ts';
export type * from './schema/istio/sidecar.ts';
export type * from './schema/istio/string-match.ts';
export type * from './schema/istio/traffic-policy.ts';
export type * from './schema/istio/virtual-service.ts';
export type * from './schema/istio/workload.ts';
export type * from './schema/label-selector.ts';
export type * from './schema/mesh-config.ts';
export type * from './schema/sluice-file.ts';
export * from './yaml/limits.ts';
export * from './yaml/parse.ts';
export * from './validate/object.ts';
export * from './read.ts';
export * from './support/lookup.ts';
export * from './mesh-config.ts';
export * from './workload-config.ts';
export * from './defaults/apply.ts';
export * from './config-docs.ts';
export {
  parseRetryOn,
  retryConditions,
  unsafeRetryConditions,
  type RetryCondition,
} from './validate/istio-retries.ts';
export { regexProblem } from './validate/regex.ts';
export * from './analyze/analyze.ts';
export * from './analyze/codes.ts';
export type { AnalyzedObject, Instance, WorldOptions } from './analyze/world.ts';
