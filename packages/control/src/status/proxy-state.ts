/** What every connected proxy has, as ADS sessions report it; read by status, the API and the page. */

export type SyncState = 'SYNCED' | 'STALE' | 'NACK' | 'NOT_SENT';

export interface ProxyTypeState {
  /** `cds`, `eds`, `lds`, `rds`, … */
  readonly type: string;
  readonly state: SyncState;
  readonly sentVersion: string;
  readonly ackedVersion: string;
  /** The proxy's words for a NACK; empty otherwise. */
  readonly error: string;
  /** Resource names the NACKed response held. */
  readonly nackedResources: readonly string[];
}

export interface ProxyState {
  readonly nodeId: string;
  readonly instance: string | null;
  readonly namespace: string;
  readonly workload: string;
  readonly version: string;
  readonly userAgent: string;
  readonly connectedWallMs: number;
  readonly address: string;
  readonly adminPort: number | null;
  readonly protocol: 'sotw' | 'delta';
  readonly types: readonly ProxyTypeState[];
}

export interface ProxyStates {
  readonly proxies: ReadonlyMap<string, ProxyState>;
  subscribe(listener: (nodeId: string) => void): () => void;
}
