/** xDS: Envoy's messages by compact tables, and ADS as pure state machines. Never loads protobuf-es (see `@sluice/xds/es`). */
export type * from './gen/messages.ts';
export * from './gen/tables.ts';
export { AdsClient, type AdsReceived, type AdsVariant } from './ads/client.ts';
export type { AdsUpdate, ReceivedResource, RejectedResource } from './ads/update.ts';
export { AdsServerSession, type AdsServerEvent } from './ads/server.ts';
export type { SyncState, TypeStatus } from './ads/server-status.ts';
export type { AdsChanges, AdsResource, AdsResources, AdsSnapshot } from './ads/snapshot.ts';
export { wildcard, xdsTypes } from './ads/types.ts';
export { contentVersion, setVersion } from './ads/version.ts';
export { packAny, unpackAny } from './proto/any.ts';
export { createMessage } from './proto/create.ts';
export { decodeMessage, defaultDecodeLimits, type DecodeLimits } from './proto/decode.ts';
export { encodeAny, encodeMessage } from './proto/encode.ts';
export { XdsDecodeError, type XdsDecodeCode } from './proto/error.ts';
export { parseJsonMessage, XdsJsonError, type JsonProblem } from './proto/json-parse.ts';
export { toJson, type ToJsonOptions } from './proto/json-write.ts';
export {
  describeUnhonoured,
  UnhonouredReport,
  type Unhonoured,
  type UnhonouredReason,
} from './proto/report.ts';
export { MessageTable, TableRegistry } from './proto/table.ts';
export { typeNameOf, type Init } from './proto/values.ts';
