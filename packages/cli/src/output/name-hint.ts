/** What to say after "there is no …": the name that was probably meant, or all there are. */
import { nearestName } from '@sluice/runtime';

export function nameHint(name: string, known: readonly string[]): string {
  const nearest = nearestName(name, known);
  if (nearest !== undefined) return `did you mean ${nearest}?`;
  return known.length === 0 ? 'nothing is registered' : `there are ${known.join(', ')}`;
}
