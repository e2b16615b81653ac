/** Envoy's StringMatcher as a predicate. A regex never ignores case, as in Envoy. */
import type { StringMatcher } from '@sluice/xds';
import type { ProblemScope } from '../config/problems.ts';
import { compileRegex, type TextPredicate } from './regex.ts';

export function compileStringMatch(matcher: StringMatcher, scope: ProblemScope): TextPredicate {
  const fold = (text: string): string => (matcher.ignoreCase ? text.toLowerCase() : text);
  const test = (value: string, predicate: (text: string, wanted: string) => boolean): TextPredicate => {
    const wanted = fold(value);
    return matcher.ignoreCase
      ? (text) => predicate(text.toLowerCase(), wanted)
      : (text) => predicate(text, wanted);
  };
  if (matcher.exact !== undefined) return test(matcher.exact, (text, wanted) => text === wanted);
  if (matcher.prefix !== undefined) return test(matcher.prefix, (text, wanted) => text.startsWith(wanted));
  if (matcher.suffix !== undefined) return test(matcher.suffix, (text, wanted) => text.endsWith(wanted));
  if (matcher.contains !== undefined) return test(matcher.contains, (text, wanted) => text.includes(wanted));
  if (matcher.safeRegex !== undefined) {
    if (matcher.ignoreCase) scope.unhonoured('ignore_case', 'it has no effect on safe_regex');
    return compileRegex(matcher.safeRegex, scope.at('safe_regex'));
  }
  scope.error('names no pattern');
  return () => false;
}
