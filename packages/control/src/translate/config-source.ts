/** Where proxies get what a resource refers to: over the same stream. */

/** Endpoints, routes and the mesh's certificates are waited for as long as it takes: an empty answer is none. */
export const adsSource = { ads: {}, initialFetchTimeout: 0, resourceApiVersion: 'V3' } as const;
