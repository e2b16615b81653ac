/** Where proxies get what a resource refers to: over the same stream. */

/** Endpoints, routes and the mesh's certificates are waited for as long as it takes: an empty answer is none. */
export const adsSource = { ads: {}, initialFetchTimeout: 0, resourceApiVersion: 'V3' } as const;

/**
 * Secrets that resources name may not exist, and only incremental ADS can say so: by the state of the world, and to an
 * Envoy either way, a proxy would hold everything else up for Envoy's 15 s. Those that exist are there at once; what
 * comes later counts when it comes.
 */
export const optionalSource = { ads: {}, initialFetchTimeout: 2000, resourceApiVersion: 'V3' } as const;
