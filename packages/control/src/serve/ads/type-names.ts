/** Short names of resource types, as operators know them. */
import { xdsTypes } from '@sluice/xds';

export const shortTypeNames: ReadonlyMap<string, string> = new Map([
  [xdsTypes.cluster, 'cds'],
  [xdsTypes.endpoint, 'eds'],
  [xdsTypes.listener, 'lds'],
  [xdsTypes.route, 'rds'],
  [xdsTypes.virtualHost, 'vhds'],
  [xdsTypes.secret, 'sds'],
]);
