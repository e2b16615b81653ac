/** How far a client is with one resource type: the lines of `sluice status`. */
import type { ServerType } from './server-type.ts';

export type SyncState = 'SYNCED' | 'STALE' | 'NACK' | 'NOT_SENT';

export interface TypeStatus {
  readonly state: SyncState;
  /** Version of the last accepted response. */
  readonly ackedVersion: string;
  /** Version of the response under way; empty when none is. */
  readonly sentVersion: string;
  /** The client's words at its last refusal; empty once it has accepted what replaced it. */
  readonly errorDetail: string;
  /** Refused versions that are still the desired ones. */
  readonly rejected: ReadonlyMap<string, string>;
  readonly heldCount: number;
  readonly pendingCount: number;
}

/** Statuses of all streams are made for each count of who has what, and hardly ever is anything refused. */
const nothing: ReadonlyMap<string, string> = new Map();

export function typeStatus(type: ServerType): TypeStatus {
  return {
    state: syncState(type),
    ackedVersion: type.ackedVersion,
    sentVersion: type.inFlight?.version ?? '',
    errorDetail: type.errorDetail,
    rejected: type.rejected.size === 0 ? nothing : new Map(type.rejected),
    heldCount: type.known.size,
    pendingCount: type.pending.size,
  };
}

function syncState(type: ServerType): SyncState {
  if (type.rejected.size > 0 || type.suspects.size > 0) return 'NACK';
  if (type.inFlight !== undefined || type.pending.size > 0) return 'STALE';
  return type.hasSent || type.known.size > 0 ? 'SYNCED' : 'NOT_SENT';
}
