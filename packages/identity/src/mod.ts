/** Workload identity: SPIFFE IDs, X.509-SVIDs, certificate requests, authorities and trust bundles. */
export {};
