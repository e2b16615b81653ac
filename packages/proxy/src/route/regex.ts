/**
 * Regular expressions from configuration. Common shapes become string operations; the rest runs on
 * re2js, whose time is linear in the input whatever the pattern says (a backtracking engine would let
 * a client stall a worker with one crafted path). Compiled programs are capped in size.
 *
 * All matches are of the whole text, as Envoy's `safe_regex` demands. The engine is loaded when the first
 * pattern needs it: it costs 5 MB in every thread, and most configurations get by without.
 */
import type { RE2JS } from 're2js';
import type { RegexMatchAndSubstitute, RegexMatcher } from '@sluice/xds';
import type { ProblemScope } from '../config/problems.ts';

export type TextPredicate = (text: string) => boolean;

/** Characters of a pattern; bounds compile time before the program exists. */
const maxPatternLength = 10_000;
/** Instructions; Envoy's `re2.max_program_size.error_level` is unset, this is Istio's long-standing cap. */
const maxProgramSize = 32_768;

const never: TextPredicate = () => false;

export function compileRegex(matcher: RegexMatcher, scope: ProblemScope): TextPredicate {
  const pattern = matcher.regex;
  if (pattern === '') {
    scope.at('regex').error('must not be empty');
    return never;
  }
  const simple = asStringOperation(pattern);
  if (simple !== null) return simple;
  const program = compileProgram(matcher, scope);
  return program === null ? never : (text) => program.testExact(text);
}

/** `pattern` found anywhere in the text is replaced; `\1` refers to a group, as in RE2's Rewrite. */
export function compileSubstitution(
  rewrite: RegexMatchAndSubstitute,
  scope: ProblemScope,
): (text: string) => string {
  if (rewrite.pattern === undefined) {
    scope.at('pattern').error('must be set');
    return (text) => text;
  }
  const program = compileProgram(rewrite.pattern, scope.at('pattern'));
  if (program === null) return (text) => text;
  const pieces = parseSubstitution(rewrite.substitution, program.groupCount(), scope.at('substitution'));
  // The engine hands over the whole match, then its groups.
  const replace = (...match: (string | null | undefined)[]): string =>
    pieces.map((piece) => (typeof piece === 'number' ? (match[piece] ?? '') : piece)).join('');
  return (text) => program.matcher(text).replaceAll(replace);
}

function compileProgram(matcher: RegexMatcher, scope: ProblemScope): RE2JS | null {
  if (matcher.regex.length > maxPatternLength) {
    scope
      .at('regex')
      .error(`is ${matcher.regex.length} characters long; at most ${maxPatternLength} are allowed`);
    return null;
  }
  const engine = require('./linear-regex.ts') as typeof import('./linear-regex.ts');
  try {
    const program = engine.RE2JS.compile(matcher.regex);
    const limit = Math.min(matcher.googleRe2?.maxProgramSize ?? maxProgramSize, maxProgramSize);
    if (program.programSize() <= limit) return program;
    scope
      .at('regex')
      .error(`compiles to ${program.programSize()} instructions; at most ${limit} are allowed`);
  } catch (error) {
    scope.at('regex').error(error instanceof Error ? error.message : String(error));
  }
  return null;
}

/** Texts and group numbers, from RE2's notation: `\1` is a group, `\\` a backslash. */
function parseSubstitution(substitution: string, groups: number, scope: ProblemScope): (string | number)[] {
  const pieces: (string | number)[] = [];
  for (let i = 0; i < substitution.length; i++) {
    const char = substitution.charAt(i);
    if (char !== '\\') {
      pieces.push(char);
      continue;
    }
    const next = substitution.charAt(++i);
    if (next === '\\') pieces.push('\\');
    else if (!/^\d$/.test(next)) scope.error(`"\\${next}" is neither a group nor an escaped backslash`);
    else if (Number(next) > groups) scope.error(`refers to group ${next}; the pattern has ${groups}`);
    else pieces.push(Number(next));
  }
  return pieces;
}

/** `literal`, `literal.*`, `.*literal`, `.*literal.*`, `.*`, `.+`; null for anything else. */
export function asStringOperation(pattern: string): TextPredicate | null {
  let body = pattern;
  if (body.startsWith('^')) body = body.slice(1);
  if (body.endsWith('$') && !body.endsWith('\\$')) body = body.slice(0, -1);
  if (body === '.*') return (text) => !text.includes('\n');
  if (body === '.+') return (text) => text !== '' && !text.includes('\n');
  const startsOpen = body.startsWith('.*');
  if (startsOpen) body = body.slice(2);
  const endsOpen = body.endsWith('.*') && !body.endsWith('\\.*');
  if (endsOpen) body = body.slice(0, -2);
  const literal = unescapeLiteral(body);
  if (literal === null) return null;
  if (startsOpen && endsOpen) return (text) => text.includes(literal) && !text.includes('\n');
  if (startsOpen) return (text) => text.endsWith(literal) && !text.includes('\n');
  if (endsOpen) return (text) => text.startsWith(literal) && !text.includes('\n');
  return (text) => text === literal;
}

/** The text that a pattern without operators stands for, or null. */
function unescapeLiteral(body: string): string | null {
  let out = '';
  for (let i = 0; i < body.length; i++) {
    const char = body.charAt(i);
    if (char === '\\') {
      const next = body.charAt(++i);
      // Only punctuation: \d, \b and the like are classes.
      if (next === '' || /[A-Za-z0-9]/.test(next)) return null;
      out += next;
    } else if ('.*+?()[]{}|^$\n'.includes(char)) return null;
    else out += char;
  }
  return out;
}
