/** What one look at an application shows. */
export interface ProbeResult {
  readonly isReady: boolean;
  /** What was seen, for people: `GET /ready: 503`. */
  readonly reason: string;
}
