/** Regular expressions of admin queries: linear time, found anywhere in the text. */
import { RE2JS, RE2JSSyntaxException } from 're2js';

/** Null when it is not a regular expression. */
export function compilePattern(pattern: string): ((text: string) => boolean) | null {
  try {
    const compiled = RE2JS.compile(pattern);
    return (text) => compiled.matcher(text).find();
  } catch (error) {
    if (error instanceof RE2JSSyntaxException) return null;
    throw error;
  }
}
