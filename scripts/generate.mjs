/** Makes generated sources current. The xds package fills this in. */
export async function ensureGenerated() {}
