/**
 * Exceptions to the rules of `layers.ts`, each with the reason that makes it right.
 * A line here is a debt someone chose; remove it when the reason is gone.
 */
export const allow: readonly { rule: string; file: string; reason: string }[] = [];
