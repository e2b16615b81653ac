/**
 * Header additions and removals. Within one level removals come first, so that "remove, then add" is
 * how to replace (as Envoy evaluates them). Values with `%OPERATOR%`s are checked here and evaluated
 * against the exchange.
 */
import { internName } from '@sluice/wire';
import type { HeaderValueOption } from '@sluice/xds';
import type { ProblemScope } from '../config/problems.ts';
import { parseFormat, type FormatPiece } from '../telemetry/format-parse.ts';
import { compileOperator } from '../telemetry/operators.ts';
import type { RouteCompileContext } from './compile-context.ts';
import type { FormatFacts, HeaderOperation } from './route.ts';

export function compileHeaderOperations(
  add: readonly HeaderValueOption[],
  remove: readonly string[],
  fields: 'request_headers' | 'response_headers',
  context: RouteCompileContext,
  scope: ProblemScope,
): HeaderOperation[] {
  const operations: HeaderOperation[] = [];
  for (const [i, name] of remove.entries()) {
    const at = scope.at(`${fields}_to_remove`, i);
    if (isModifiable(name, at)) operations.push(operation('remove', name, '', null, false));
  }
  return [...operations, ...compileAdditions(add, `${fields}_to_add`, context, scope)];
}

export function compileAdditions(
  add: readonly HeaderValueOption[],
  field: string,
  context: RouteCompileContext,
  scope: ProblemScope,
): HeaderOperation[] {
  return add.flatMap((option, i) => compileAddition(option, context, scope.at(field, i)) ?? []);
}

function compileAddition(
  option: HeaderValueOption,
  context: RouteCompileContext,
  scope: ProblemScope,
): HeaderOperation | null {
  const at = scope.at('header');
  const header = option.header;
  if (header === undefined) {
    at.error('must be set');
    return null;
  }
  if (!isModifiable(header.key, at.at('key'))) return null;
  if (header.rawValue.length > 0 && header.value !== '') at.error('sets both value and raw_value');
  const value = header.rawValue.length > 0 ? Buffer.from(header.rawValue).toString('latin1') : header.value;
  if (/[\0\r\n]/.test(value)) at.at('value').error('must not hold NUL, CR or LF');
  const format = compileFormat(value, context, at.at('value'));
  const text = format === null ? value.replaceAll('%%', '%') : value;
  return operation(kindOf(option, scope), header.key, text, format, option.keepEmptyValue);
}

function kindOf(option: HeaderValueOption, scope: ProblemScope): HeaderOperation['kind'] {
  if (option.append !== undefined) {
    if (option.appendAction !== 'APPEND_IF_EXISTS_OR_ADD') scope.error('sets both append and append_action');
    return option.append ? 'append' : 'set';
  }
  switch (option.appendAction) {
    case 'APPEND_IF_EXISTS_OR_ADD':
      return 'append';
    case 'ADD_IF_ABSENT':
      return 'setIfAbsent';
    case 'OVERWRITE_IF_EXISTS_OR_ADD':
      return 'set';
    case 'OVERWRITE_IF_EXISTS':
      return 'setIfPresent';
  }
}

/** Null when the value holds no operator. */
export function compileFormat(
  value: string,
  context: RouteCompileContext,
  scope: ProblemScope,
): ((facts: FormatFacts) => string) | null {
  if (!value.includes('%')) return null;
  const messages: string[] = [];
  const pieces = parseFormat(value, messages);
  for (const piece of pieces) {
    if (piece.kind !== 'operator') continue;
    compileOperator(piece.name, piece.argument, piece.maxLength, context.process, messages);
  }
  for (const message of messages) scope.error(message);
  if (messages.length > 0 || pieces.every((piece) => piece.kind === 'literal')) return null;
  return (facts) => evaluate(pieces, facts);
}

/** An operator without a value contributes nothing to a header (in a log it would be `-`). */
function evaluate(pieces: readonly FormatPiece[], facts: FormatFacts): string {
  let out = '';
  for (const piece of pieces) {
    out +=
      piece.kind === 'literal'
        ? piece.text
        : (facts.operator(piece.name, piece.argument, piece.maxLength) ?? '');
  }
  return out;
}

function isModifiable(name: string, scope: ProblemScope): boolean {
  if (name === '') scope.error('must not be empty');
  else if (name.startsWith(':') || name.toLowerCase() === 'host') {
    scope.error(`"${name}" may not be changed by header operations; use a host or path rewrite`);
  } else if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name)) scope.error(`"${name}" is not a header name`);
  else return true;
  return false;
}

function operation(
  kind: HeaderOperation['kind'],
  name: string,
  value: string,
  format: HeaderOperation['format'],
  keepEmptyValue: boolean,
): HeaderOperation {
  return { kind, name, nameId: internName(name.toLowerCase()), value, format, keepEmptyValue };
}
