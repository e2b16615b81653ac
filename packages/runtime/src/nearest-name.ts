/**
 * "Did you mean …?": the known name nearest to a mistyped one, by edit distance with neighbouring letters
 * swapped counted as one edit. Suggests only what is plausibly meant, since a wrong suggestion misleads.
 * `per_try_timeout`, `per-try-timeout` and `perTryTimeout` are one name.
 */

/** Longer words are not compared: the cost is quadratic and the input may come from a peer. */
const maxWordLength = 100;

/** The nearest of `known` within a third of the word's length (at least one edit); undefined if none is near. */
export function nearestName(word: string, known: Iterable<string>): string | undefined {
  if (word.length === 0 || word.length > maxWordLength) return undefined;
  const wanted = fold(word);
  let nearest: string | undefined;
  let nearestDistance = Math.max(1, Math.floor(wanted.length / 3)) + 1;
  for (const candidate of known) {
    const folded = fold(candidate);
    if (Math.abs(folded.length - wanted.length) >= nearestDistance) continue;
    const distance = editDistance(wanted, folded);
    if (distance < nearestDistance) {
      nearest = candidate;
      nearestDistance = distance;
    }
  }
  return nearest;
}

function fold(name: string): string {
  return name.replaceAll(/[_-]/g, '').toLowerCase();
}

/** Optimal string alignment distance: insert, delete, replace, swap neighbours. */
export function editDistance(a: string, b: string): number {
  let twoAbove: number[] = [];
  let above = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let best = Math.min(above[j]! + 1, row[j - 1]! + 1, above[j - 1]! + cost);
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (isSwap) best = Math.min(best, twoAbove[j - 2]! + 1);
      row.push(best);
    }
    twoAbove = above;
    above = row;
  }
  return above[b.length]!;
}
