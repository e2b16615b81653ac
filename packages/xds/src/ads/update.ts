/** What a client takes from one response. */

export interface ReceivedResource {
  readonly name: string;
  /** Other names under which it was asked for (virtual hosts by domain). */
  readonly aliases: readonly string[];
  readonly version: string;
  /** The resource's message (inside its Any), a view of the response. */
  readonly bytes: Uint8Array;
}

export interface RejectedResource {
  /** Empty where the response as such is at fault. */
  readonly name: string;
  /** Names the field: `virtual_hosts[0].domains: …`. */
  readonly problem: string;
}

export interface AdsUpdate {
  readonly typeUrl: string;
  readonly version: string;
  readonly nonce: string;
  /** New or changed. */
  readonly resources: readonly ReceivedResource[];
  /** No longer existing, or asked for and not existing. */
  readonly removed: readonly string[];
  /** Resources that could not be opened; they make the answer a NACK by themselves. */
  readonly problems: readonly RejectedResource[];
}
