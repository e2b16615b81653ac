/** What the translator hands to the server's machine: everything that one proxy should have. */

export interface AdsResource {
  /** Hash of the content: equal versions are equal resources. */
  readonly version: string;
  /** The encoded `google.protobuf.Any`, shared by all streams and never changed. */
  readonly bytes: Uint8Array;
  /** Further names by which it may be asked for (virtual hosts by domain). */
  readonly aliases?: readonly string[];
}

export type AdsResources = ReadonlyMap<string, AdsResource>;

/**
 * Immutable. A type that is absent is not served at all; a type with an empty map is served and empty.
 * Keep a type's map the same object where nothing of it changed: that alone makes the update free.
 */
export interface AdsSnapshot {
  readonly version: string;
  readonly types: ReadonlyMap<string, AdsResources>;
}

/** Names that may differ from the snapshot before, for each type whose map changed. A type left out is compared whole. */
export type AdsChanges = ReadonlyMap<string, ReadonlySet<string>>;
