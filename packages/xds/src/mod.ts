/** xDS: Envoy's messages by compact tables, and ADS as pure state machines. Never loads protobuf-es (see `@sluice/xds/es`). */
export type * from './gen/messages.ts';
export * from './gen/tables.ts';
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
