/** The checks of each kind's content, by kind. */
import { isKind } from '../resource-types.ts';
import type { KubeObject } from '../object.ts';
import type { Findings } from './findings.ts';

export function checkContent(object: KubeObject, findings: Findings): void {
  if (isKind(object, 'networking.istio.io/VirtualService')) void findings;
}
