/**
 * Depth and size of a document before it is composed. The library's composer calls itself for each level, so a
 * text of a million opening brackets must be turned away while it is still a flat token tree; this walk uses its
 * own stack.
 */
import type { CST } from 'yaml';
import type { YamlLimits } from './limits.ts';

export interface TooLarge {
  readonly offset: number;
  readonly message: string;
}

interface Pending {
  readonly token: CST.Token;
  readonly depth: number;
}

/** The first place where a document exceeds a limit, or undefined. */
export function measureToken(document: CST.Token, limits: YamlLimits): TooLarge | undefined {
  const stack: Pending[] = [{ token: document, depth: 0 }];
  let values = 0;
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    const { token, depth } = next;
    values++;
    if (depth > limits.maxDepth) return at(token, `nested deeper than ${limits.maxDepth} levels`);
    // Keys and values both count here; the exact count follows when values are built.
    if (values > 3 * limits.maxValues) return at(token, `more than ${limits.maxValues} values`);
    if (token.type === 'document') {
      if (token.value !== undefined) stack.push({ token: token.value, depth: depth + 1 });
    } else if ('items' in token && Array.isArray(token.items)) {
      for (const item of token.items) {
        if (item.key) stack.push({ token: item.key, depth: depth + 1 });
        if (item.value) stack.push({ token: item.value, depth: depth + 1 });
      }
    }
  }
  return undefined;
}

function at(token: CST.Token, message: string): TooLarge {
  return { offset: token.offset, message };
}
