/**
 * Regular expressions of admin queries: linear time, found anywhere in the text. Loaded on demand: scrapes
 * have no filter.
 */

/** Null when it is not a regular expression. */
export function compilePattern(pattern: string): ((text: string) => boolean) | null {
  if (pattern === '') return () => true;
  const { RE2JS, RE2JSSyntaxException } =
    require('../route/linear-regex.ts') as typeof import('../route/linear-regex.ts');
  try {
    const compiled = RE2JS.compile(pattern);
    return (text) => compiled.matcher(text).find();
  } catch (error) {
    if (error instanceof RE2JSSyntaxException) return null;
    throw error;
  }
}
