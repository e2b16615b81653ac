/** xDS: Envoy's messages by compact tables, and ADS as pure state machines. Never loads protobuf-es (see `@sluice/xds/es`). */
export type * from './gen/messages.ts';
export * from './gen/tables.ts';
export { XdsDecodeError, type XdsDecodeCode } from './proto/error.ts';
export { UnhonouredReport, describeUnhonoured, type Unhonoured, type UnhonouredReason } from './proto/report.ts';
export { MessageTable, TableRegistry } from './proto/table.ts';
export { typeNameOf, type Init } from './proto/values.ts';
